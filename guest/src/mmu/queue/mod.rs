//! Linux's multicall buffer: what is queued, what merges, when it is full. One a CPU. Mechanism
//! only: who may queue and when it is flushed is decided above. Comes in: requests in program
//! order; goes out: a direct hypercall or one multicall, and which of its requests failed.

mod disorder;

use crate::config::{ARGS_MAX, Config, MC_BATCH, Order};
use crate::machine::Machine;
use crate::mutants;
use hypercalls::lab::Cause;
use hypercalls::mmu::{MmuUpdate, MmuextOp};
use hypercalls::multicall::MulticallEntry;
use hypercalls::{DOMID_SELF, Nr};
#[cfg(test)]
use hypercalls::{Pte, Vaddr};
use zerocopy::IntoBytes;

/// Bytes of one update.
const UPDATE: usize = size_of::<MmuUpdate>();
/// Bytes of one extended operation.
const EXT: usize = size_of::<MmuextOp>();
/// Bytes of the vCPU mask that follows an operation for several vCPUs.
const MASK: usize = 8;

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Issued {
    /// Whether there was anything: an empty buffer makes no hypercall.
    pub trapped: bool,
    /// Page-table updates carried.
    pub updates: u64,
    /// Requests that failed.
    pub failed: u64,
    /// The first failure's result.
    pub first: i64,
    /// TLB flushes issued ahead of updates queued before them.
    pub early_flushes: u64,
}

/// One CPU's buffer.
pub(crate) struct Queue {
    entries: [MulticallEntry; MC_BATCH],
    used: usize,
    relocate: u64,
    args: [u8; ARGS_MAX],
    end: usize,
    updates: u64,
}

const EMPTY: MulticallEntry = MulticallEntry {
    op: 0,
    result: 0,
    args: [0; 6],
};

impl Queue {
    /// An empty buffer.
    pub(crate) const fn new() -> Self {
        Queue {
            entries: [EMPTY; MC_BATCH],
            used: 0,
            relocate: 0,
            args: [0; ARGS_MAX],
            end: 0,
            updates: 0,
        }
    }

    /// Updates that wait.
    pub(crate) fn updates(&self) -> u64 {
        self.updates
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        (self.used, self.relocate, self.end, self.updates) = (0, 0, 0, 0);
    }

    /// Linux's space test: a request is refused once its end would *reach* the limit.
    fn fits(&self, config: &Config, bytes: usize) -> bool {
        let limit = config.args + usize::from(mutants::chosen(config, mutants::SPACE_OFF_BY_ONE));
        self.end + bytes < limit && self.end + bytes <= ARGS_MAX
    }

    /// The entry that an update may be appended to: only the last one, only the same operation.
    fn mergeable(&self, config: &Config) -> Option<usize> {
        let last = self.used.checked_sub(1)?;
        let is_update = |i: &usize| self.entries[*i].op == Nr::MmuUpdate as u64;
        if mutants::chosen(config, mutants::MERGE_ACROSS_FLUSH) && !is_update(&last) {
            return last.checked_sub(1).filter(is_update);
        }
        Some(last).filter(is_update)
    }

    /// Appends an update to the last entry, if that is allowed and there is space.
    fn extend(&mut self, config: &Config, update: MmuUpdate) -> bool {
        if !config.merge || !self.fits(config, UPDATE) {
            return false;
        }
        let Some(at) = self.mergeable(config) else {
            return false;
        };
        if at + 1 < self.used {
            self.insert_before_last(at, update);
        } else {
            self.put(update.as_bytes());
        }
        self.entries[at].args[1] += 1;
        self.updates += 1;
        true
    }

    /// Copies argument bytes in; the caller has checked that they fit.
    fn put(&mut self, bytes: &[u8]) {
        self.args[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// A new entry, if there is one left and space for its arguments. An empty buffer takes any:
    /// with a batch of 1, a TLB flush alone is over the limit.
    fn entry(&mut self, config: &Config, nr: Nr, bytes: usize) -> Option<&mut MulticallEntry> {
        if self.used == MC_BATCH || (self.used > 0 && bytes > 0 && !self.fits(config, bytes)) {
            return None;
        }
        if bytes > 0 {
            self.relocate |= 1 << self.used;
        }
        let entry = &mut self.entries[self.used];
        *entry = MulticallEntry {
            op: nr as u64,
            ..EMPTY
        };
        entry.args = [self.end as u64, 1, 0, u64::from(DOMID_SELF), 0, 0];
        self.used += 1;
        Some(entry)
    }

    /// Queues an update; `false` if the buffer must be flushed first.
    pub(crate) fn update(&mut self, config: &Config, update: MmuUpdate) -> bool {
        if self.extend(config, update) {
            return true;
        }
        if self.entry(config, Nr::MmuUpdate, UPDATE).is_none() {
            return false;
        }
        self.put(update.as_bytes());
        self.updates += 1;
        true
    }

    /// Queues TLB or base-pointer operations as one entry, which nothing merges with. `masked`
    /// leaves room for the vCPU mask that Linux passes along.
    pub(crate) fn mmuext(&mut self, config: &Config, ops: &[MmuextOp], masked: bool) -> bool {
        let bytes = ops.len() * EXT + if masked { MASK } else { 0 };
        let Some(entry) = self.entry(config, Nr::MmuextOp, bytes) else {
            return false;
        };
        entry.args[1] = ops.len() as u64;
        ops.iter().for_each(|op| self.put(op.as_bytes()));
        if masked {
            self.put(&[0xff; MASK]);
        }
        true
    }

    /// Queues an `update_va_mapping`, which takes no argument bytes.
    #[cfg(test)]
    pub(crate) fn va_mapping(&mut self, config: &Config, va: Vaddr, pte: Pte, flags: u64) -> bool {
        let Some(entry) = self.entry(config, Nr::UpdateVaMapping, 0) else {
            return false;
        };
        entry.args = [va.0, pte.0, flags, 0, 0, 0];
        self.updates += 1;
        true
    }

    /// Issues what waits: nothing, one direct hypercall, or one multicall. Nothing is retried.
    pub(crate) fn flush(&mut self, machine: &dyn Machine, config: &Config, cause: Cause) -> Issued {
        let mut issued = Issued {
            trapped: self.used > 0,
            ..Issued::default()
        };
        if mutants::chosen(config, mutants::DROP_LAST) {
            self.drop_last();
        }
        if mutants::chosen(config, mutants::DROP_ENTRY) {
            self.drop_entry();
        }
        let early = mutants::chosen(config, mutants::FLUSH_FIRST);
        if config.order == Order::Reordering || early {
            issued.early_flushes = self.reorder(config.order == Order::Reordering);
        }
        issued.updates = self.updates;
        match self.used {
            0 => {}
            1 => self.issue_one(machine, cause, &mut issued),
            _ => self.issue_all(machine, cause, &mut issued),
        }
        self.clear();
        issued
    }

    fn issue_one(&mut self, machine: &dyn Machine, cause: Cause, issued: &mut Issued) {
        let entry = self.entries[0];
        let mut args = [0; 5];
        args.copy_from_slice(&entry.args[..5]);
        // Only calls of the table below are ever queued.
        let nr = Nr::from_raw(entry.op).unwrap_or(Nr::MmuUpdate);
        let rc = if self.relocate & 1 != 0 {
            args[0] = 0;
            machine.call_with(cause, nr, args, 0, &mut self.args[..self.end])
        } else {
            machine.call(cause, nr, args)
        };
        issued.note(rc);
    }

    fn issue_all(&mut self, machine: &dyn Machine, cause: Cause, issued: &mut Issued) {
        let entries = &mut self.entries[..self.used];
        let rc = machine.multicall(cause, entries, self.relocate, &mut self.args[..self.end]);
        issued.note(rc);
        entries.iter().for_each(|e| issued.note(e.result));
    }
}

impl Issued {
    fn note(&mut self, rc: i64) {
        if rc < 0 {
            self.failed += 1;
            if self.first == 0 {
                self.first = rc;
            }
        }
    }
}
