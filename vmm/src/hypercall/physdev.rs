//! `physdev_op`: I/O privilege; there are no devices.

use super::{Answer, read};
use crate::domain::Domain;
use hypercalls::Errno;

/// The kernel's I/O privilege: 4 bytes (`physdev.h`).
const PHYSDEVOP_SET_IOPL: u32 = 6;
/// The I/O permission bitmap (`physdev.h`).
const PHYSDEVOP_SET_IOBITMAP: u32 = 7;

/// I/O privilege is remembered; ports lead nowhere either way.
pub(super) fn physdev_op(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    match args[0] as u32 {
        PHYSDEVOP_SET_IOPL => match read::<u32>(dom, cpu, args[1])? {
            iopl @ 0..=3 => {
                dom.vcpus[cpu].iopl = iopl as u8;
                Ok(0)
            }
            _ => Err(Errno::EINVAL),
        },
        PHYSDEVOP_SET_IOBITMAP => Ok(0),
        _ => Err(Errno::ENOSYS),
    }
}
