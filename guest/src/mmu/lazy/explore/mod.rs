//! The state machines, explored to the end: two tasks of one CPU, each with sections and pauses up
//! to a depth, and at every call a preemption in its window, after it, or none; or an interrupt that
//! writes, flushes, or has a section of its own. States are visited once, nearest first, so what is
//! wrong comes with the shortest way there.

mod subjects;
mod world;

use super::{Mode, TaskLazy};
use std::collections::{BTreeSet, VecDeque};
use std::format;
use std::string::String;
use std::vec::Vec;
use subjects::{Pauses, Subject};
use world::Call::{self, *};
use world::{Open, State, Visit, Waits, World};

/// Sections and pauses open at most, a task.
const DEPTH: usize = 3;

const CALLS: [Call; 11] = [
    Enable,
    EnableWithPtes,
    Disable,
    Pause,
    Resume,
    ArchFlush,
    Write,
    Switch,
    IrqWrite,
    IrqFlush,
    IrqSection,
];

const VISITS: [Option<Visit>; 3] = [None, Some(Visit::Looks), Some(Visit::Writes)];

/// Calls from the start, each with its preemption.
type Path = Vec<(Call, Option<Visit>)>;

impl Subject {
    fn start(self) -> State {
        let mut state = State::default();
        // Both have been forked; the first is being switched to.
        state.cpu.mode = Mode::Cpu;
        let world = World::of(self, &state);
        let new = world.policy.fork(TaskLazy::default(), self.hooks);
        world.lazy.iter().for_each(|lazy| lazy.set(new));
        if self.name == "eager" || self.name == "strip" {
            world.cpu.take();
        }
        world.note(world.on(|p, cx| p.switch_in(cx)));
        assert_eq!(world.wrong.take(), None);
        state.lazy = [world.lazy[0].get(), world.lazy[1].get()];
        state.cpu = world.cpu.get();
        state
    }

    /// Whether the kernel has such a call here, and survives it by its own rules.
    fn allows(self, state: &State, call: Call, visit: Option<Visit>) -> bool {
        let open = &state.open[state.now];
        let (depth, room) = (state.depth(), open.len() < DEPTH);
        let fits = match call {
            Enable | EnableWithPtes => room && depth < self.depth,
            Disable => matches!(open.last(), Some(Open::Section(_))),
            Resume => open.last() == Some(&Open::Pause),
            Pause => room && self.can_pause(state),
            Switch => depth <= self.switch_depth && visit.is_none(),
            ArchFlush | Write => true,
            // 6.1 enters by the raw mode, which knows of no interrupt: a second time in a section.
            IrqSection => visit.is_none() && depth < self.depth,
            IrqWrite | IrqFlush => visit.is_none(),
        };
        let deepest = depth + usize::from(matches!(call, Enable | EnableWithPtes));
        fits && (visit.is_none() || deepest <= self.switch_depth)
    }

    fn can_pause(self, state: &State) -> bool {
        match self.pauses {
            Pauses::Anywhere => true,
            Pauses::InSections => state.waits() != Waits::MustNot,
            Pauses::Nowhere => false,
        }
    }

    /// The state after a call, or what is wrong with it.
    fn step(self, from: &State, call: Call, visit: Option<Visit>) -> Result<State, String> {
        let world = World::of(self, from);
        let mut to = from.clone();
        world.visit.set(visit);
        to.open[from.now] = world.call(call, from.open[from.now].clone());
        world.preempted();
        // A count of warnings is no state.
        let lazy = |n: usize| TaskLazy {
            warnings: 0,
            ..world.lazy[n].get()
        };
        to.lazy = [lazy(0), lazy(1)];
        to.cpu = world.cpu.get();
        to.waiting = [world.waiting[0].get(), world.waiting[1].get()];
        to.now = world.now.get();
        if let Some(wrong) = world.wrong.take() {
            return Err(wrong);
        }
        self.judge(&world, &to, call)?;
        Ok(to)
    }

    fn judge(self, world: &World, to: &State, call: Call) -> Result<(), String> {
        let queues = world.on(|p, cx| p.queues(cx));
        let said = |what: &str| Err(format!("{what}: {to:?}"));
        if to.waiting[1 - to.now] {
            return said("the other task's write is stranded");
        }
        if to.waiting[to.now] && call.promises() {
            return said("a write waits past its promise");
        }
        if to.lazy[to.now].hint.is_some() && to.depth() == 0 {
            return said("a range outlives its section");
        }
        match to.waits() {
            Waits::Must if self.batches && !queues => said("a section does not queue"),
            Waits::MustNot if queues => said("a write waits where it must not"),
            _ => Ok(()),
        }
    }

    /// Visits every state; how many there are, or the shortest way to what is wrong.
    fn explore(self) -> Result<usize, (Path, String)> {
        let mut seen = BTreeSet::new();
        let mut next = VecDeque::from([(self.start(), Vec::new())]);
        while let Some((state, path)) = next.pop_front() {
            if !seen.insert(format!("{state:?}")) {
                continue;
            }
            for call in CALLS {
                for visit in VISITS {
                    if !self.allows(&state, call, visit) {
                        continue;
                    }
                    let path = [&path[..], &[(call, visit)]].concat();
                    match self.step(&state, call, visit) {
                        Ok(state) => next.push_back((state, path)),
                        Err(wrong) => return Err((path, wrong)),
                    }
                }
            }
        }
        Ok(seen.len())
    }
}
