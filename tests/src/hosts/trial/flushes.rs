//! Which requests make KVM flush the CPU's TLB, and how often: as often as Xen's rules require, and
//! no more, since a needless flush is what a request costs beyond its exit.
//!
//! In: the flushes that KVM asked of the CPU during a run of [`super::guest`] for each row. Out: the
//! rows that are wrong.

use hypercalls::Nr;
use hypercalls::mmu::*;

use super::super::{Kind, Run};
use super::guest::{ARGUMENT, PLACE, TURNS, Turn, entry, kernel};
use crate::asm::{Asm, Reg::*};

/// A request, and how many flushes each makes.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) cpus: u32,
    /// On all vCPUs together.
    pub(super) flushes: u64,
    prepare: Turn,
    turn: Turn,
    /// What can be read at the guest's address changes each turn.
    maps: bool,
}

const SELF: u64 = 0x7ff0;

const fn row(name: &'static str, flushes: u64, turn: Turn) -> Row {
    Row {
        name,
        cpus: 1,
        flushes,
        prepare: |_| {},
        turn,
        maps: false,
    }
}

const fn maps(row: Row) -> Row {
    Row { maps: true, ..row }
}

const fn two(row: Row) -> Row {
    Row { cpus: 2, ..row }
}

const fn after(prepare: Turn, row: Row) -> Row {
    Row { prepare, ..row }
}

/// THE table. An L1 entry that changes is the guest's to flush; an upper one Xen flushes itself.
pub(super) const ROWS: [Row; 17] = [
    row("xen_version", 0, |a| {
        a.hypercall(Nr::XenVersion, &[0, 0]);
    }),
    row("set_segment_base", 0, |a| {
        a.copy(Rsi, Rbx).mov(Rdi, 0);
        a.mov(Rax, Nr::SetSegmentBase as u64).syscall();
    }),
    // Not required: KVM takes a change of CR0.TS for one of paging.
    row("fpu_taskswitch", 1, |a| {
        // and $1,%rdi
        a.copy(Rdi, Rbx).bytes(&[0x48, 0x83, 0xe7, 1]);
        a.mov(Rax, Nr::FpuTaskswitch as u64).syscall();
    }),
    row("emulated cpuid", 0, |a| {
        // The forced emulation prefix; rbx and rcx are lost.
        a.copy(R8, Rbx)
            .bytes(&[0x0f, 0x0b, b'x', b'e', b'n', 0x0f, 0xa2])
            .copy(Rbx, R8);
    }),
    row("update_va_mapping", 0, |a| remap(a, UVMF_NONE)),
    maps(row("update_va_mapping, page flush", 1, |a| {
        remap(a, UVMF_INVLPG)
    })),
    maps(row("update_va_mapping, full flush", 1, |a| {
        remap(a, UVMF_TLB_FLUSH)
    })),
    row("mmu_update of an L1", 0, update_l1),
    maps(row("mmu_update of an L1, then invlpg", 1, |a| {
        update_l1(a);
        extended(a, MMUEXT_INVLPG_LOCAL);
    })),
    maps(row("mmu_update of an L1, then a flush", 1, |a| {
        update_l1(a);
        extended(a, MMUEXT_TLB_FLUSH_ALL);
    })),
    after(upper_entries, row("mmu_update of an L2", 1, update_l2)),
    row("mmuext_op, local flush", 1, |a| {
        extended(a, MMUEXT_TLB_FLUSH_LOCAL)
    }),
    row("mmuext_op, new base pointer", 1, |a| {
        a.mov(Rcx, ARGUMENT).load(Rax, Rbp, 0).store(Rax, Rcx, 8);
        a.mov(Rax, u64::from(MMUEXT_NEW_BASEPTR));
        a.store(Rax, Rcx, 0);
        a.hypercall(Nr::MmuextOp, &[ARGUMENT, 1, 0, SELF]);
    }),
    // User mode's: the way there loads it.
    row("mmuext_op, new user base pointers", 0, |a| {
        a.load(Rax, Rbp, 0);
        user_base(a);
        a.mov(Rax, 0);
        user_base(a);
    }),
    two(row("one of two vCPUs flushes itself", 1, |a| {
        extended(a, MMUEXT_TLB_FLUSH_LOCAL)
    })),
    two(maps(row(
        "update_va_mapping, page flush on two vCPUs",
        2,
        |a| remap(a, UVMF_INVLPG | UVMF_ALL),
    ))),
    two(maps(row(
        "mmu_update of an L1, then a flush of two vCPUs",
        2,
        |a| {
            update_l1(a);
            extended(a, MMUEXT_TLB_FLUSH_ALL);
        },
    ))),
];

/// Maps the address to the other frame.
fn remap(a: &mut Asm, flags: u64) {
    a.mov(Rdi, PLACE).copy(Rsi, R14).mov(Rdx, flags);
    a.mov(Rax, Nr::UpdateVaMapping as u64).syscall();
}

/// The same by the entry's machine address. The L1 is the fourth of the tables.
fn update_l1(a: &mut Asm) {
    update(a, 24, 8 * (PLACE >> 12 & 511));
}

/// Entry 0 of the L2, which maps the guest itself.
fn update_l2(a: &mut Asm) {
    update(a, 16, 0);
}

/// Writes r14 to the entry at `offset` of a table whose frame number is at `table`(%rbp).
fn update(a: &mut Asm, table: i32, offset: u64) {
    a.load(Rax, Rbp, table);
    // shl $12,%rax; add $offset,%rax
    a.bytes(&[0x48, 0xc1, 0xe0, 12, 0x48, 0x05]);
    a.bytes(&(offset as u32).to_le_bytes()).mov(Rcx, ARGUMENT);
    a.store(Rax, Rcx, 0).store(R14, Rcx, 8);
    a.hypercall(Nr::MmuUpdate, &[ARGUMENT, 1, 0, SELF]);
}

/// Two entries of the L2 for the guest's own L1, a software bit apart.
fn upper_entries(a: &mut Asm) {
    for reg in [R14, R15] {
        a.load(reg, Rbp, 24);
        entry(a, reg);
    }
    // bts $9,%r15
    a.bytes(&[0x49, 0x0f, 0xba, 0xef, 9]);
}

fn extended(a: &mut Asm, command: u32) {
    a.mov(Rcx, ARGUMENT).mov(Rax, u64::from(command));
    a.store(Rax, Rcx, 0).mov(Rax, PLACE).store(Rax, Rcx, 8);
    a.hypercall(Nr::MmuextOp, &[ARGUMENT, 1, 0, SELF]);
}

/// Sets user mode's table to the frame in rax.
fn user_base(a: &mut Asm) {
    a.mov(Rcx, ARGUMENT).store(Rax, Rcx, 8);
    a.mov(Rax, u64::from(MMUEXT_NEW_USER_BASEPTR));
    a.store(Rax, Rcx, 0);
    a.hypercall(Nr::MmuextOp, &[ARGUMENT, 1, 0, SELF]);
}

impl Row {
    /// The guest, with its turns or with one alone, to compare with.
    pub(super) fn guest(&self, turns: u64) -> Vec<u8> {
        kernel(self.cpus, self.prepare, self.turn, self.maps, turns)
    }

    /// The flushes of the turns, if a run of one turn and one of many more are as they should be.
    pub(super) fn judge(&self, kind: Kind, runs: &[Run]) -> Result<u64, String> {
        let name = self.name;
        let [one, all] = runs else {
            return Err(format!("{name}: not run"));
        };
        if let Some(run) = runs.iter().find(|run| run.code != 0) {
            return Err(format!("{name}: exit code {}", run.code));
        }
        let (Some(one), Some(all)) = (one.flushes, all.flushes) else {
            return Err("flushes could not be counted".to_owned());
        };
        match self.wrong(kind, one, all) {
            // Where page tables are shadowed KVM flushes for reasons of its own.
            Some(wrong) if !kind.is_shadow() => Err(wrong),
            _ => Ok(all.saturating_sub(one) / kind.flush_calls()),
        }
    }

    /// What is wrong, if the runs of one turn and of [`TURNS`] more took so many flushes.
    pub(super) fn wrong(&self, kind: Kind, one: u64, all: u64) -> Option<String> {
        let calls = kind.flush_calls();
        let (found, wanted) = (all.saturating_sub(one), self.flushes * TURNS * calls);
        // KVM has reasons of its own now and then, such as memory that moves in the host.
        let most = wanted + TURNS / 10;
        (!(wanted..=most).contains(&found)).then(|| {
            let (name, turns) = (self.name, TURNS);
            format!("{name}: {found} calls to flush in {turns} turns, not {wanted}")
        })
    }
}
