//! The state tables of the API generations, as counters of traps.
//!
//! Comes in: steps. Goes out: traps and direct writes, hazards, or the BUG that the modelled
//! kernel stops in. Written from the published tables; the guest's implementation is another.

use super::buffer::{Buffer, FLUSH_MULTI};
use super::op::{Hazard, Op};
use crate::config::Batch;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    /// No lazy mode.
    Eager,
    /// One mode a CPU; entering twice is a BUG (6.1).
    PerCpu,
    /// One mode a CPU with a nesting count; a switch at depth 2 is a BUG (6.12).
    PerCpuNesting,
    /// enter returns what leave takes; leaving with DEFAULT ends the mode at any depth.
    LocalState,
    /// Any leave ends the mode; ignored in interrupts, as arm64's was.
    Strip,
    /// Two u8 counters a task.
    Nested(Hooks),
}

/// The x86 hooks beneath the nested API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hooks {
    /// 7.1: enter and leave set a mode a CPU, which decides what is queued; it reads as none in
    /// interrupts.
    Cpu,
    /// 7.2: the counters decide what is queued; `arch_flush` flushes wherever it is called.
    Task,
}

/// A BUG of the modelled kernel.
pub(super) type Bug = &'static str;

/// The mode is entered while one is on.
pub(super) const BUG_ENTER: Bug = "BUG_ON in enter_lazy";
/// The mode is left while it is off.
pub(super) const BUG_LEAVE: Bug = "BUG_ON in leave_lazy";

/// A task on a CPU.
#[derive(Clone, Debug)]
pub(super) struct Task {
    api: Api,
    buffer: Buffer,
    immediate: u64,
    /// Direct writes to live tables.
    pub(super) emulated: u64,
    /// The first way stale data was served.
    pub(super) hazard: Option<Hazard>,
    irq: bool,
    /// The mode, where there is one.
    on: bool,
    /// 6.12's nesting count.
    nesting: u32,
    /// The local states handed out: whether the mode was on before.
    states: Vec<bool>,
    enabled: u8,
    paused: u8,
    /// Whether the last write is in the buffer.
    waits: bool,
    /// Flushes when a refused write was queued, and what is lost if the next one joins it.
    refused: Option<(u64, Hazard)>,
}

impl Task {
    pub(super) fn new(api: Api, batch: Batch, pause_count: u8) -> Task {
        Task {
            api,
            buffer: Buffer::new(batch),
            immediate: 0,
            emulated: 0,
            hazard: None,
            irq: false,
            on: false,
            nesting: 0,
            states: Vec::new(),
            enabled: 0,
            paused: pause_count,
            waits: false,
            refused: None,
        }
    }

    /// Hypercalls so far.
    pub(super) fn traps(&self) -> u64 {
        self.immediate + self.buffer.flushes
    }

    /// Whether the task's counters say lazy.
    fn active(&self) -> bool {
        self.enabled > 0 && self.paused == 0
    }

    /// Whether a write may wait now.
    fn queues(&self) -> bool {
        let on = match self.api {
            Api::Eager => false,
            Api::Nested(Hooks::Task) => self.active(),
            _ => self.on,
        };
        on && !self.irq
    }

    /// One step.
    pub(super) fn step(&mut self, op: Op) -> Result<(), Bug> {
        match op {
            Op::Set => self.set(),
            Op::Refused(lost) => {
                self.set();
                self.refused = self.waits.then_some((self.buffer.flushes, lost));
            }
            Op::Rmw => self.emulated += 1,
            Op::Flush => self.tlb_flush(),
            Op::Enable => return self.enable(),
            Op::Disable => return self.disable(),
            Op::Pause => self.pause(),
            Op::Resume => self.resume(),
            Op::ArchFlush => self.arch_flush(),
            Op::Switch => return self.switch(),
            Op::IrqEnter => self.irq = true,
            Op::IrqExit => self.irq = false,
            Op::Later => self.buffer.clear(),
            Op::RelyOn(hazard) => self.note(self.waits, hazard),
            Op::Sleep(hazard) => self.note(self.queues(), hazard),
        }
        Ok(())
    }

    fn note(&mut self, serves: bool, hazard: Hazard) {
        if serves {
            self.hazard = self.hazard.or(Some(hazard));
        }
    }

    fn set(&mut self) {
        self.waits = self.queues();
        if !self.waits {
            self.immediate += 1;
            return;
        }
        self.buffer.update();
        if let Some((flushes, lost)) = self.refused.take() {
            self.note(flushes == self.buffer.flushes, lost);
        }
    }

    fn flush(&mut self) {
        self.buffer.flush();
        self.waits = false;
        self.refused = None;
    }

    fn tlb_flush(&mut self) {
        let queues = self.queues();
        self.buffer.entry(FLUSH_MULTI);
        if !queues {
            self.flush();
        }
    }

    fn enable(&mut self) -> Result<(), Bug> {
        match self.api {
            Api::Eager => {}
            Api::PerCpu if self.on => return Err(BUG_ENTER),
            Api::PerCpuNesting if self.on => self.nesting += 1,
            Api::Strip if self.irq => {}
            Api::Nested(_) if self.irq || self.paused > 0 => {}
            Api::Nested(_) => {
                // The hook runs for the first only, also after a wrap; twice is tolerated.
                self.on |= self.enabled == 0;
                self.enabled = self.enabled.wrapping_add(1);
            }
            Api::LocalState => self.states.push(std::mem::replace(&mut self.on, true)),
            Api::PerCpu | Api::PerCpuNesting | Api::Strip => self.on = true,
        }
        Ok(())
    }

    fn disable(&mut self) -> Result<(), Bug> {
        match self.api {
            Api::Eager => return Ok(()),
            Api::PerCpu | Api::PerCpuNesting if !self.on => {
                self.flush();
                return Err(BUG_LEAVE);
            }
            Api::PerCpuNesting if self.nesting > 0 => self.nesting -= 1,
            Api::Strip if self.irq => return Ok(()),
            Api::Nested(_) if self.irq || self.paused > 0 => return Ok(()),
            Api::Nested(_) => {
                self.enabled = self.enabled.wrapping_sub(1);
                self.on &= self.enabled > 0;
            }
            Api::LocalState => self.on = self.states.pop().unwrap_or(false),
            Api::PerCpu | Api::PerCpuNesting | Api::Strip => self.on = false,
        }
        self.flush();
        Ok(())
    }

    /// The mode off, the queue empty.
    fn leave(&mut self) {
        self.on = false;
        self.flush();
    }

    /// Kernels with legacy calls have none; the local states leave with DEFAULT.
    fn pause(&mut self) {
        match self.api {
            Api::LocalState => self.leave(),
            Api::Nested(_) if !self.irq => {
                if self.paused == 0 && self.enabled > 0 {
                    self.leave();
                }
                self.paused = self.paused.wrapping_add(1);
            }
            _ => {}
        }
    }

    fn resume(&mut self) {
        match self.api {
            Api::LocalState => self.on = true,
            Api::Nested(_) if !self.irq => {
                self.paused = self.paused.wrapping_sub(1);
                self.on |= self.active();
            }
            _ => {}
        }
    }

    fn arch_flush(&mut self) {
        if self.queues() || self.api == Api::Nested(Hooks::Task) {
            self.flush();
        }
    }

    /// Away and back: whatever waits is flushed, the mode is what it was, or what the task's
    /// counters say.
    fn switch(&mut self) -> Result<(), Bug> {
        if self.api == Api::PerCpuNesting && self.nesting > 0 {
            return Err(BUG_ENTER);
        }
        let was = self.on;
        self.leave();
        self.on = match self.api {
            Api::Nested(_) => self.active(),
            _ => was,
        };
        Ok(())
    }
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
