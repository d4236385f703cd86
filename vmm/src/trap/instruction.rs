//! Fetching and decoding the instruction a guest stands at.

use crate::domain::{Domain, Regs};
use hypercalls::{PAGE_SIZE, Vaddr};
use iced_x86::{Decoder, DecoderOptions, Instruction};

/// The longest instruction.
pub(super) const MAX_LEN: usize = 15;

/// The bytes at `rip`, as many as can be read, at most 15. Copied once: what is decoded is what
/// is emulated, whatever another vCPU writes meanwhile.
pub(super) fn fetch(dom: &Domain, cpu: usize, rip: u64) -> ([u8; MAX_LEN], usize) {
    let at = Vaddr(rip);
    let mut bytes = [0; MAX_LEN];
    let view = dom.view(cpu);
    let first = MAX_LEN.min((PAGE_SIZE - at.offset()) as usize);
    let (head, tail) = bytes.split_at_mut(first);
    let len = match view.copy_in(at, head) {
        Err(_) => 0,
        Ok(()) if view.copy_in(at.add(first as u64), tail).is_ok() => MAX_LEN,
        Ok(()) => first,
    };
    (bytes, len)
}

/// The instruction at rip, if it can be read and decoded.
pub(super) fn decode(dom: &Domain, cpu: usize, regs: &Regs) -> Option<Instruction> {
    let (bytes, len) = fetch(dom, cpu, regs.rip);
    let bits = if regs.is_compat() { 32 } else { 64 };
    let mut decoder = Decoder::with_ip(bits, &bytes[..len], regs.rip, DecoderOptions::NONE);
    let decoded = decoder.decode();
    (!decoded.is_invalid()).then_some(decoded)
}
