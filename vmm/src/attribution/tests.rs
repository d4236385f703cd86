//! Operations opened, counted and closed.

use super::*;
use crate::domain::Step;
use crate::domain::fixture::Guest;
use crate::trap::exception;
use hypercalls::Nr;
use hypercalls::measure::*;
use hypercalls::trap::UD;
use hypercalls::version::XENVER_VERSION;

const TASK: Vaddr = Vaddr(0x1000);
const OTHER: Vaddr = Vaddr(0x2000);

fn label(repetition: u64) -> Label {
    Label {
        operation: "mprotect".into(),
        pages: 512,
        repetition,
        ..Label::default()
    }
}

fn listening() -> Attribution {
    Attribution::new(None, false)
}

fn trap(a: &mut Attribution, nr: Nr, task: Vaddr, updates: u64) {
    let chain = |_: &mut Attribution| Some(Chain::from_iter([updates]));
    if let Some(trapped) = a.trapped(Kind::call(nr as u64, None), task, 0, chain) {
        a.returned(0, trapped, updates, 1);
    }
}

fn open(a: &mut Attribution, repetition: u64) {
    assert!(a.begin(label(repetition), TASK, 0, Totals::default()));
}

fn close(a: &mut Attribution) -> bool {
    a.close(Fate::Measured, 7, Totals::default())
}

#[test]
fn traps_count_by_task_and_by_what_they_do() {
    let mut a = listening();
    trap(&mut a, Nr::MmuUpdate, TASK, 31);
    open(&mut a, 0);
    trap(&mut a, Nr::MmuUpdate, TASK, 31);
    trap(&mut a, Nr::MmuUpdate, TASK, 31);
    trap(&mut a, Nr::Iret, TASK, 0);
    trap(&mut a, Nr::MmuUpdate, OTHER, 1);
    a.emulated_write(TASK, |_| None);
    a.emulated_write(OTHER, |_| None);
    a.fault(TASK);
    assert!(close(&mut a));
    trap(&mut a, Nr::MmuUpdate, TASK, 31);
    let sample = &a.samples[0];
    assert_eq!(
        (sample.traps, sample.updates, sample.other_hypercalls),
        (2, 62, 1)
    );
    assert_eq!(
        (sample.elsewhere, sample.emulated_writes, sample.faults),
        (1, 1, 1)
    );
    assert_eq!((sample.batch_sizes[&31], sample.time_ns), (2, 7));
    assert_eq!(sample.sites.values().next().map(|s| s.traps), Some(2));
    // The emulated write's site was not known.
    assert_eq!(sample.sites_dropped, 1);
}

#[test]
fn a_multicall_is_page_table_work_if_an_entry_is() {
    let mut a = listening();
    open(&mut a, 0);
    for (entry, traps) in [(Nr::StackSwitch, 0), (Nr::MmuUpdate, 1)] {
        let kind = Kind::call(Nr::Multicall as u64, None);
        let trapped = a.trapped(kind, TASK, 0, |_| None).expect("open");
        a.entry(Kind::call(entry as u64, None));
        a.returned(0, trapped, 0, 0);
        let open = a.open.as_ref().expect("open");
        assert_eq!(open.sample.traps, traps, "{entry:?}");
    }
}

#[test]
fn warm_ups_are_forgotten_and_abandoned_operations_are_not() {
    let mut a = listening();
    open(&mut a, WARM_UP);
    assert!(close(&mut a));
    assert!(!close(&mut a), "nothing is open");
    assert!(a.samples.is_empty());
    open(&mut a, 0);
    open(&mut a, 1);
    a.finish();
    let failed = |s: &Sample| matches!(&s.fate, Fate::Failed(why) if why == "it never ended");
    assert_eq!(a.samples.iter().filter(|s| failed(s)).count(), 2);
}

#[test]
fn a_guest_cannot_have_samples_without_end() {
    let mut a = listening();
    for repetition in 0..MAX_SAMPLES as u64 {
        open(&mut a, repetition);
        assert!(close(&mut a));
    }
    assert!(!a.begin(label(0), TASK, 0, Totals::default()));
    assert!(!a.is_open());
    assert_eq!(a.samples.len(), MAX_SAMPLES);
}

#[test]
fn other_tasks_count_where_the_operation_makes_them() {
    let mut a = listening();
    let all = Label {
        all_tasks: true,
        ..label(0)
    };
    assert!(a.begin(all, TASK, 0, Totals::default()));
    trap(&mut a, Nr::MmuUpdate, OTHER, 5);
    assert!(close(&mut a));
    assert_eq!((a.samples[0].traps, a.samples[0].elsewhere), (1, 0));
}

/// The marker and the text behind it, at the user's page.
const CODE: &[u8] = b"\x0f\x0bxen\x0f\xa2mprotect 512";

/// Says a marker with a text of so many bytes; eax of the answer.
fn say(g: &mut Guest, at: Vaddr, what: u32, len: u64) -> u32 {
    g.regs.rip = at.0;
    (g.regs.rax, g.regs.rcx) = (LEAF.into(), what.into());
    (g.regs.rdi, g.regs.rsi, g.regs.rdx) = (at.0 + 7, len, 512);
    g.dom.vcpus[0].set_mode(false);
    let step = exception(&mut g.dom, 0, &mut g.regs, UD, 0, 0);
    assert_eq!((step, g.regs.rip), (Step::Resume, at.0 + 7));
    g.dom.vcpus[0].set_mode(true);
    g.regs.rax as u32
}

#[test]
fn markers_open_and_close_an_operation() {
    let mut g = Guest::new(1);
    let at = g.user(CODE);
    assert_eq!(say(&mut g, at, HELLO, 8), 0, "nobody listens, as on Xen");
    g.dom.attribution = listening();
    assert_eq!(say(&mut g, at, HELLO, 8), MAGIC);
    assert_eq!(
        g.dom.attribution.runner.as_ref().map(|r| r.version),
        Some(512)
    );
    assert_eq!(say(&mut g, at, BEGIN, 8), MAGIC);
    let step = g.syscall(Nr::XenVersion, [XENVER_VERSION.into(), 0]);
    assert_eq!(step, Step::Resume);
    assert_eq!(say(&mut g, at, END, 0), MAGIC);
    let sample = &g.dom.attribution.samples[0];
    assert_eq!(
        (sample.label.operation.as_str(), sample.label.pages),
        ("mprotect", 512)
    );
    assert_eq!((sample.traps, sample.other_hypercalls), (0, 1));
}

#[test]
fn markers_that_do_not_fit_are_refused_and_counted() {
    let mut g = Guest::new(1);
    let at = g.user(CODE);
    g.dom.attribution = listening();
    // Not open; no word; too long; longer than what is mapped; no marker.
    for (what, len) in [
        (END, 0),
        (BEGIN, 12),
        (BEGIN, 0),
        (BEGIN, TEXT_MAX + 1),
        (99, 0),
    ] {
        assert_eq!(say(&mut g, at, what, len), REFUSED, "{what} {len}");
    }
    assert_eq!(say(&mut g, Vaddr(at.0), HELLO, u64::MAX), REFUSED);
    assert_eq!(g.dom.attribution.refused, 6);
    assert!(g.dom.attribution.samples.is_empty() && !g.dom.attribution.is_open());
}
