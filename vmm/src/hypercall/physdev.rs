//! `physdev_op`: I/O privilege and ports; there are no devices.

use super::{Answer, read};
use crate::domain::{Domain, PortMap};
use hypercalls::physdev::*;
use hypercalls::{Errno, Vaddr};

/// Ports there are.
const PORTS: u32 = 1 << 16;

/// Who may use ports is remembered; they lead nowhere either way.
pub(super) fn physdev_op(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    match args[0] as u32 {
        PHYSDEVOP_SET_IOPL => match read::<u32>(dom, cpu, args[1])? {
            iopl @ 0..=3 => {
                dom.vcpus[cpu].iopl = iopl as u8;
                Ok(0)
            }
            _ => Err(Errno::EINVAL),
        },
        PHYSDEVOP_SET_IOBITMAP => {
            let [at, ports] = read::<[u64; 2]>(dom, cpu, args[1])?;
            let (at, ports) = (Vaddr(at), ports as u32);
            if ports > PORTS || !at.is_canonical() {
                return Err(Errno::EINVAL);
            }
            dom.vcpus[cpu].ports = PortMap { at, ports };
            Ok(0)
        }
        _ => Err(Errno::ENOSYS),
    }
}
