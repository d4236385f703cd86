//! `in` and `out`: there are no devices. The kernel's always succeed; user mode's if the kernel
//! allows them, by I/O privilege or by the permission bitmap.

use super::operand;
use crate::domain::{Domain, Regs};
use hypercalls::Vaddr;
use iced_x86::Instruction;

/// Ports that read 0: the timer's counter and its gate. A guest that calibrates by them gives up
/// at once instead of spinning.
const ZERO_PORTS: [u16; 2] = [0x42, 0x61];
/// The I/O privilege that opens all ports to user mode.
const IOPL_USER: u8 = 3;

/// `in`: all ones, but for the ports that read 0.
pub(super) fn input(
    dom: &Domain,
    cpu: usize,
    regs: &mut Regs,
    decoded: &Instruction,
) -> Option<()> {
    let port = operand::value(regs, decoded, 1)? as u16;
    let register = decoded.op0_register();
    is_allowed(dom, cpu, port, register.size()).then_some(())?;
    let value = match ZERO_PORTS.contains(&port) {
        true => 0,
        false => u64::MAX,
    };
    operand::set(regs, register, value);
    Some(())
}

/// `out`: into the void.
pub(super) fn output(dom: &Domain, cpu: usize, regs: &Regs, decoded: &Instruction) -> Option<()> {
    let port = operand::value(regs, decoded, 0)? as u16;
    is_allowed(dom, cpu, port, decoded.op1_register().size()).then_some(())
}

fn is_allowed(dom: &Domain, cpu: usize, port: u16, size: usize) -> bool {
    let v = &dom.vcpus[cpu];
    if v.kernel_mode || v.iopl >= IOPL_USER {
        return true;
    }
    let mut ports = u32::from(port)..u32::from(port) + size as u32;
    ports.all(|port| {
        let mut byte = [0xff];
        let at = Vaddr(v.ports.at.0.wrapping_add(u64::from(port / 8)));
        let read = port < v.ports.ports && dom.kernel_view(cpu).copy_in(at, &mut byte).is_ok();
        read && byte[0] >> (port % 8) & 1 == 0
    })
}
