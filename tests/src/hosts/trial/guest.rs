//! A guest that makes one request again and again, and reads through what it changed.
//!
//! In: what one turn does. Out: a PV kernel. It has an address that its turns map to one of two
//! frames, and reads there what the frame holds: a stale translation ends it in a crash. A second
//! vCPU, if there is one, reads there too, once a turn.

use hypercalls::Nr;

use hypercalls::start_info::StartInfo;
use hypercalls::vcpu::{CpuUserRegs, VCPUOP_INITIALISE, VCPUOP_UP, VcpuGuestContext};
use std::mem::offset_of;

use crate::asm::{Asm, Reg::*};
use crate::elf::{BASE, Elf, PADDR};

/// Turns of one run.
pub(super) const TURNS: u64 = 100;
/// The address whose entry changes; of the two frames the first is its own.
pub(super) const PLACE: u64 = BASE + PADDR + 0x2000;
const OTHER: u64 = PLACE + 0x1000;
/// Argument of requests: an `MmuextOp` or an `MmuUpdate`.
pub(super) const ARGUMENT: u64 = OTHER + 0x1000;
/// Words that the vCPUs share: turn, what is to be read, turn that was read.
const WORDS: u64 = ARGUMENT + 0x100;
/// The second vCPU's context: two pages.
const CONTEXT: u64 = WORDS + 0xf00;
const SIZE: u64 = CONTEXT + 0x2000 - BASE - PADDR;
/// Present, writable, user, accessed, dirty.
const LEAF: u64 = 0x67;

/// Both contents, in the frames' order.
const CONTENTS: [u64; 2] = [0x0a0a, 0x0b0b];

/// What a turn does. Before it, r14 holds the entry to write and r12 what can be read at
/// [`PLACE`] then; after it the guest swaps them with r15 and r13. rbx, rbp and rsp are the guest's.
pub(super) type Turn = fn(&mut Asm);

/// The kernel: `prepare` runs once, `turn` so many times, each followed by reads if `turn` maps.
pub(super) fn kernel(cpus: u32, prepare: Turn, turn: Turn, maps: bool, turns: u64) -> Vec<u8> {
    let elf = Elf::kernel(|a| {
        let (start, bad, second) = (a.label(), a.label(), a.label());
        a.jmp(start).bind(bad).bytes(&[0x0f, 0x0b]).bind(second);
        let second_at = a.here();
        read_each_turn(a, bad);
        a.bind(start);
        entries(a);
        contents(a);
        if cpus > 1 {
            bring_up(a, second_at);
        }
        prepare(a);
        a.mov(Rbx, turns);
        let again = a.mark();
        turn(a);
        if maps {
            expect(a, bad);
        }
        if cpus > 1 {
            await_reader(a);
        }
        swap(a);
        a.dec(Rbx).jnz(again).power_off();
    });
    elf.load(|load| load.mem_size = SIZE).bytes()
}

/// rbp: where the frame numbers of the page tables are, L4 first; r14, r15: both entries.
fn entries(a: &mut Asm) {
    let list = offset_of!(StartInfo, mfn_list) as i32;
    let base = offset_of!(StartInfo, pt_base) as i32;
    a.load(Rbp, Rsi, list).load(Rax, Rsi, base);
    let pfn = |va: u64| ((va - BASE) >> 12) as i32;
    for (reg, va) in [(R14, OTHER), (R15, PLACE)] {
        a.load(reg, Rbp, 8 * pfn(va));
        entry(a, reg);
    }
    a.mov(Rcx, BASE);
    // sub %rcx,%rax; shr $9,%rax; add %rax,%rbp
    a.bytes(&[0x48, 0x29, 0xc8, 0x48, 0xc1, 0xe8, 9, 0x48, 0x01, 0xc5]);
}

/// Makes the frame number in `reg` (r14 or r15) an entry.
pub(super) fn entry(a: &mut Asm, reg: crate::asm::Reg) {
    let n = reg as u8 & 7;
    // shl $12,%reg; or $LEAF,%reg
    a.bytes(&[0x49, 0xc1, 0xe0 | n, 12, 0x49, 0x83, 0xc8 | n, LEAF as u8]);
}

fn contents(a: &mut Asm) {
    for (va, value) in [(PLACE, CONTENTS[0]), (OTHER, CONTENTS[1])] {
        a.mov(Rcx, va).mov(Rax, value).store(Rax, Rcx, 0);
    }
    a.mov(R12, CONTENTS[1]).mov(R13, CONTENTS[0]);
}

fn swap(a: &mut Asm) {
    // xchg %r14,%r15; xchg %r12,%r13
    a.bytes(&[0x4d, 0x87, 0xfe, 0x4d, 0x87, 0xec]);
}

fn expect(a: &mut Asm, bad: crate::asm::Label) {
    a.mov(Rcx, PLACE).load(Rax, Rcx, 0);
    // cmp %r12,%rax
    a.bytes(&[0x4c, 0x39, 0xe0]).jnz(bad);
}

/// Starts the second vCPU at `at` on the first one's tables.
fn bring_up(a: &mut Asm, at: u64) {
    let user = offset_of!(VcpuGuestContext, user_regs);
    let (rip, rsp) = (offset_of!(CpuUserRegs, rip), offset_of!(CpuUserRegs, rsp));
    let cr3 = offset_of!(VcpuGuestContext, ctrlreg) + 3 * 8;
    a.mov(Rcx, CONTEXT);
    a.mov(Rax, at).store(Rax, Rcx, (user + rip) as i32);
    a.store(Rcx, Rcx, (user + rsp) as i32).load(Rax, Rbp, 0);
    // shl $12,%rax
    a.bytes(&[0x48, 0xc1, 0xe0, 12]).store(Rax, Rcx, cr3 as i32);
    a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_INITIALISE), 1, CONTEXT]);
    a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_UP), 1, 0]);
}

/// The second vCPU: whenever there is a new turn, what it reads must be what was written.
fn read_each_turn(a: &mut Asm, bad: crate::asm::Label) {
    a.mov(Rbx, WORDS).mov(Rdi, PLACE).mov(R12, 0);
    let again = a.mark();
    let new = a.label();
    a.load(Rax, Rbx, 0);
    // cmp %r12,%rax
    a.bytes(&[0x4c, 0x39, 0xe0]).jnz(new).jmp(again).bind(new);
    a.copy(R12, Rax).load(Rax, Rdi, 0).load(Rcx, Rbx, 8);
    // cmp %rcx,%rax
    a.bytes(&[0x48, 0x39, 0xc8]).jnz(bad);
    a.store(R12, Rbx, 16).jmp(again);
}

/// Says that there is a new turn, and waits until the second vCPU has read.
fn await_reader(a: &mut Asm) {
    a.mov(Rdi, WORDS).mov(Rcx, PLACE).load(Rax, Rcx, 0);
    a.store(Rax, Rdi, 8).load(Rax, Rdi, 0);
    // inc %rax
    a.bytes(&[0x48, 0xff, 0xc0]).store(Rax, Rdi, 0);
    let again = a.mark();
    a.load(Rcx, Rdi, 16);
    // cmp %rcx,%rax
    a.bytes(&[0x48, 0x39, 0xc8]).jnz(again);
}
