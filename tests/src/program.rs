//! Programs over the lazy-MMU API, for the property: what a policy's kernel can run of one, and
//! what must hold of a run beside eager's. Comes in: axes and operations; goes out: what is
//! wrong, if anything is.

use guest::program::{Op, Trace};
use std::fmt;
use std::io::{Sink, sink};
use xenlet::direct::Session;
use xenlet::domain::DomainConfig;

/// A program and the axes it runs under. Its debug form is Rust that runs it again.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// Words of the guest's plan: batch, order and so on.
    pub axes: String,
    /// The operations.
    pub ops: Vec<Op>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check({:?}, &{:?})", self.axes, self.ops)
    }
}

/// A policy as the property sees it.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Its name.
    pub policy: &'static str,
    /// Whether a task in a section must find its writes queued.
    pub batches: bool,
    fits: Fits,
}

/// Which programs its kernel can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fits {
    /// Any.
    All,
    /// A pause leaves, so there must be something to leave (v2).
    PauseInSection,
    /// None with a pause.
    NoPause,
    /// Nor a switch at depth 2 (6.12).
    FlatSwitch,
    /// Nor any nesting at all (6.1).
    Flat,
}

/// Every policy but eager.
pub const SUBJECTS: [Subject; 8] = [
    subject("generic", true, Fits::All),
    subject("arch-pause", true, Fits::All),
    subject("with-ptes", true, Fits::All),
    subject("generic-7.2", false, Fits::All),
    subject("local-state-v2", true, Fits::PauseInSection),
    subject("strip", false, Fits::NoPause),
    subject("legacy-6.12", true, Fits::FlatSwitch),
    subject("legacy-6.1", true, Fits::Flat),
];

const fn subject(policy: &'static str, batches: bool, fits: Fits) -> Subject {
    Subject {
        policy,
        batches,
        fits,
    }
}

/// What a thread of a program has open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Section,
    Pause,
    Bh,
}

/// A walk through a program, to see what is open where.
#[derive(Default)]
struct Walk {
    open: [Vec<Open>; guest::program::TASKS],
    now: usize,
}

impl Walk {
    fn depth(&self) -> usize {
        let sections = self.open[self.now].iter().filter(|o| **o == Open::Section);
        sections.count()
    }

    fn in_bh(&self) -> bool {
        self.open[self.now].contains(&Open::Bh)
    }

    /// Whether the innermost of sections and pauses is a section.
    fn in_section(&self) -> bool {
        let inner = self.open[self.now].iter().rev().find(|o| **o != Open::Bh);
        inner == Some(&Open::Section)
    }

    fn step(&mut self, op: Op) {
        let switches = !self.in_bh();
        let open = &mut self.open[self.now];
        match (op, open.last()) {
            (Op::Enable | Op::EnableWithPtes, _) => open.push(Open::Section),
            (Op::Pause, _) => open.push(Open::Pause),
            (Op::BhDisable, _) => open.push(Open::Bh),
            (Op::Disable, Some(Open::Section))
            | (Op::Resume, Some(Open::Pause))
            | (Op::BhEnable, Some(Open::Bh)) => {
                open.pop();
            }
            (Op::Task(task), _) if switches => {
                self.now = usize::from(task) % self.open.len();
            }
            _ => {}
        }
    }

    fn allows(&self, fits: Fits, op: Op) -> bool {
        let nested = self.depth() > 0;
        match (fits, op) {
            (Fits::All, _) => true,
            (Fits::PauseInSection, Op::Pause) => self.in_section(),
            (Fits::PauseInSection, _) => true,
            (_, Op::Pause) => false,
            (Fits::FlatSwitch, Op::Task(_) | Op::Switch) => self.depth() < 2,
            // They have no windows, and the depth at the next call is not known here.
            (Fits::FlatSwitch | Fits::Flat, Op::Window) => false,
            (Fits::Flat, Op::Enable | Op::EnableWithPtes | Op::IrqSection(_)) => !nested,
            _ => true,
        }
    }
}

impl Subject {
    /// The subject called `policy`.
    pub fn of(policy: &str) -> Option<Subject> {
        SUBJECTS.into_iter().find(|s| s.policy == policy)
    }

    /// The program without what its kernel would die of, or has no call for.
    pub fn fitted(&self, ops: &[Op]) -> Vec<Op> {
        let mut walk = Walk::default();
        let fits = |op: &Op| {
            let allowed = walk.allows(self.fits, *op);
            if allowed {
                walk.step(*op);
            }
            allowed
        };
        ops.iter().copied().filter(fits).collect()
    }

    /// What is wrong with `trace` beside eager's of the same program.
    pub fn wrong(&self, trace: &Trace, eager: &Trace) -> Option<String> {
        let wrong = |what: &str| {
            Some(format!(
                "{}: {what}: {trace:?}, eager: {eager:?}",
                self.policy
            ))
        };
        if let Some(bug) = trace.bug.or(eager.bug) {
            return wrong(bug);
        }
        if trace.wrong + eager.wrong > 0 {
            return wrong("the tables are not what the model says");
        }
        if (trace.promises, trace.digest) != (eager.promises, eager.digest) {
            return wrong("the tables are not what eager leaves");
        }
        if trace.emulated_writes != eager.emulated_writes {
            return wrong("other direct writes");
        }
        if trace.traps > eager.traps {
            return wrong("more traps");
        }
        if self.batches && trace.lost > 0 {
            return wrong("writes of a section are not queued");
        }
        None
    }
}

/// The direct machine, and how much it has run.
pub struct Bench {
    session: Session<'static>,
    /// Runs so far.
    pub runs: u64,
}

impl Bench {
    /// A machine.
    ///
    /// # Panics
    /// If it cannot be built.
    pub fn new() -> Bench {
        let config = DomainConfig {
            mem_mib: xenlet::lab::mem_mib(512),
            cpus: 1,
            cmdline: String::new(),
            initrd: None,
            ..DomainConfig::default()
        };
        // A sink has no size: nothing is leaked.
        let console: &'static mut Sink = Box::leak(Box::new(sink()));
        let session = Session::new(&config, console);
        Bench {
            session: session.unwrap_or_else(|e| panic!("{e}")),
            runs: 0,
        }
    }

    fn run(&mut self, policy: &str, axes: &str, ops: &[Op]) -> Result<Trace, String> {
        self.runs += 1;
        let plan = format!("policy={policy} {axes}");
        let ran = self.session.program(&plan, ops);
        ran.map_err(|e| format!("{plan}: {e}"))
    }

    /// Holds `subjects` against eager on one program.
    ///
    /// # Errors
    /// What is wrong with the first of them that is.
    pub fn check(&mut self, program: &Program, subjects: &[Subject]) -> Result<(), String> {
        let mut last: Option<(Vec<Op>, Trace)> = None;
        for subject in subjects {
            let ops = subject.fitted(&program.ops);
            let eager = match last.take() {
                Some((same, eager)) if same == ops => eager,
                _ => self.run("eager", &program.axes, &ops)?,
            };
            let trace = self.run(subject.policy, &program.axes, &ops)?;
            if let Some(wrong) = subject.wrong(&trace, &eager) {
                return Err(wrong);
            }
            last = Some((ops, eager));
        }
        Ok(())
    }
}

impl Default for Bench {
    fn default() -> Bench {
        Bench::new()
    }
}
