//! Random operations, valid and hostile, with every count recomputed after each: the best single
//! check of the rules. At the end all roots go, and no reference may be left.

use super::fixture::*;
use super::recount::Roots;
use super::{Owner, Update};
use hypercalls::{Level, Maddr, Mfn, Pte};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Set(Mfn, usize, u64, Update),
    Emulate(Mfn, usize, usize, u64),
    Pin(Level, Mfn),
    Unpin(Mfn),
    Base(usize, Mfn),
    DropBase(usize),
    Descriptors(Mfn),
    PutDescriptors(usize),
    Writable(Mfn),
    PutWritable(usize),
    Clear(Mfn),
    Copy(Mfn, Mfn),
    Descriptor(Mfn, usize, u64),
}

/// Few frames, so that operations meet: the fixture's tables, data, free ones, and wrong ones.
fn frame() -> impl Strategy<Value = Mfn> {
    prop_oneof![
        4 => (FIRST..FIRST + 6).prop_map(Mfn),
        8 => (FREE.0..FREE.0 + 8).prop_map(Mfn),
        1 => Just(GDT),
        1 => prop::sample::select(vec![0, 1, 2, END - 1, END, END + 9, (1 << 40) - 1]).prop_map(Mfn),
    ]
}

fn slot() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![
        0, 0, 1, 1, 2, 2, 3, 28, 29, 100, 255, 256, 257, 271, 272, 511,
    ])
}

/// Mostly flags that pass, sometimes any.
fn value() -> impl Strategy<Value = u64> {
    let flags = prop_oneof![
        6 => prop::sample::select(vec![RO, RW, URW, 0x65, 0x05, 0x01, 0x25]),
        1 => Just(0),
        1 => 0u64..0x1000,
        1 => prop::sample::select(vec![1 << 63 | 0x67, 1 << 52 | 0x65, 0x167]),
    ];
    (frame(), flags).prop_map(|(mfn, flags)| pte(mfn, flags))
}

fn update() -> impl Strategy<Value = Update> {
    let owner = prop_oneof![9 => Just(Owner::Guest), 1 => Just(Owner::Io)];
    (any::<bool>(), owner).prop_map(|(preserve_ad, owner)| Update { preserve_ad, owner })
}

fn op() -> impl Strategy<Value = Op> {
    let level = prop::sample::select(Level::ALL.to_vec());
    let len = prop::sample::select(vec![1, 4, 8, 8]);
    let descriptor = prop::sample::select(vec![0, 0x00af_9b00_0000_ffff, 0x0000_8900_0000_0067]);
    prop_oneof![
        12 => (frame(), slot(), value(), update()).prop_map(|(m, s, v, u)| Op::Set(m, s, v, u)),
        3 => (frame(), slot(), len, value()).prop_map(|(m, s, l, v)| Op::Emulate(m, s, l, v)),
        4 => (level, frame()).prop_map(|(l, m)| Op::Pin(l, m)),
        2 => frame().prop_map(Op::Unpin),
        2 => (0..4usize, frame()).prop_map(|(i, m)| Op::Base(i, m)),
        1 => (0..4usize).prop_map(Op::DropBase),
        1 => frame().prop_map(Op::Descriptors),
        1 => (0..4usize).prop_map(Op::PutDescriptors),
        1 => frame().prop_map(Op::Writable),
        1 => (0..4usize).prop_map(Op::PutWritable),
        1 => frame().prop_map(Op::Clear),
        1 => (frame(), frame()).prop_map(|(to, from)| Op::Copy(to, from)),
        1 => (frame(), slot(), descriptor).prop_map(|(m, s, d)| Op::Descriptor(m, s, d)),
    ]
}

/// Does one operation, as a host does whose other vCPU must flush first where it is put off; whether
/// it was allowed.
fn perform(machine: &mut Machine, op: &Op) -> bool {
    machine.mm.limit(Some(1 << 20));
    for _ in 0..=PUT_OFF {
        assert!(machine.mm.settle(&machine.mem) || machine.mm.awaits_flush());
        let allowed = !machine.mm.awaits_flush() && attempt(machine, op);
        if !machine.mm.awaits_flush() {
            machine.mm.limit(None);
            return allowed;
        }
        machine.mm.take_effects();
    }
    panic!("{op:?} was put off again and again");
}

/// How often an operation of [`perform`] may be put off: once for itself, once for what it finds
/// under way.
const PUT_OFF: u32 = 2;

/// Does one operation, keeping the roots on record; whether it was allowed.
fn attempt(machine: &mut Machine, op: &Op) -> bool {
    let Machine { mem, mm, roots, .. } = machine;
    match *op {
        Op::Set(mfn, slot, value, update) => {
            mm.set_pte(mem, mfn.entry(slot), Pte(value), update).is_ok()
        }
        Op::Emulate(mfn, slot, len, value) => {
            let at = mfn.entry(slot);
            mm.emulate_write(mem, at, len, None, value).is_ok()
        }
        Op::Pin(level, mfn) => machine.pin(level, mfn).is_ok(),
        Op::Unpin(mfn) => machine.unpin(mfn).is_ok(),
        Op::Base(i, new) => {
            let old = roots.bases.get(i).copied();
            let done = mm.new_baseptr(mem, old, new).is_ok();
            match (done, roots.bases.get_mut(i)) {
                (true, Some(base)) => *base = new,
                (true, None) => roots.bases.push(new),
                (false, _) => {}
            }
            done
        }
        Op::DropBase(i) => {
            let present = i < roots.bases.len();
            if present {
                mm.drop_baseptr(mem, roots.bases.swap_remove(i));
            }
            present
        }
        Op::Descriptors(mfn) => {
            let done = mm.get_seg_desc(mem, mfn).is_ok();
            roots.descriptors.extend(done.then_some(mfn));
            done
        }
        Op::PutDescriptors(i) => {
            let present = i < roots.descriptors.len();
            if present {
                mm.put_seg_desc(roots.descriptors.swap_remove(i));
            }
            present
        }
        Op::Writable(mfn) => {
            let done = mm.get_writable(mfn).is_ok();
            roots.writable.extend(done.then_some(mfn));
            done
        }
        Op::PutWritable(i) => {
            // The first is the shared frame's own, which is for good.
            let present = i > 0 && i < roots.writable.len();
            if present {
                mm.put_writable(roots.writable.swap_remove(i));
            }
            present
        }
        Op::Clear(mfn) => mm.clear_page(mem, mfn).is_ok(),
        Op::Copy(to, from) => mm.copy_page(mem, to, from).is_ok(),
        Op::Descriptor(mfn, slot, value) => mm.set_descriptor(mem, mfn.entry(slot), value).is_ok(),
    }
}

/// The entry an operation is about: it must not change if the operation is refused.
fn target(op: &Op) -> Option<Maddr> {
    match *op {
        Op::Set(mfn, slot, ..) | Op::Emulate(mfn, slot, ..) | Op::Descriptor(mfn, slot, _) => {
            Some(mfn.entry(slot)).filter(|at| at.mfn().0 < END)
        }
        _ => None,
    }
}

/// Lets everything go but the frame that is shared for good.
fn tear_down(machine: &mut Machine) {
    let Machine { mem, mm, roots, .. } = machine;
    for (_, mfn) in roots.pins.drain(..) {
        mm.unpin(mem, mfn).expect("pinned");
    }
    for mfn in roots.bases.drain(..) {
        mm.drop_baseptr(mem, mfn);
    }
    for mfn in roots.descriptors.drain(..) {
        mm.put_seg_desc(mfn);
    }
    for mfn in roots.writable.drain(1..) {
        mm.put_writable(mfn);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    /// Another vCPU with a stale translation may write anything to a live table. Counts are wrong
    /// then, for that guest; but every operation still ends, and without a panic.
    #[test]
    fn entries_written_behind_its_back_do_no_harm(
        ops in prop::collection::vec((op(), frame(), slot(), value()), 1..80),
    ) {
        let mut machine = Machine::new();
        for (op, mfn, slot, value) in &ops {
            if mfn.0 < END {
                machine.poke(mfn.entry(*slot), *value);
            }
            perform(&mut machine, op);
        }
    }

    #[test]
    fn every_count_is_right_after_every_operation(ops in prop::collection::vec(op(), 1..80)) {
        let mut machine = Machine::new();
        for op in &ops {
            let before = target(op).map(|at| machine.peek(at));
            let allowed = perform(&mut machine, op);
            if !allowed {
                prop_assert_eq!(target(op).map(|at| machine.peek(at)), before, "{:?}", op);
            }
            machine.check();
        }
        tear_down(&mut machine);
        let shared = Roots { writable: vec![SHARED], ..Roots::default() };
        prop_assert_eq!(&machine.roots, &shared);
        for mfn in (0..END).map(Mfn).filter(|&mfn| mfn != SHARED) {
            prop_assert_eq!(machine.mm.counts(mfn), (0, 0), "{}", mfn);
        }
    }

    /// Every operation is cut short again and again, and others come in between: what is left when
    /// nothing is under way any more is right, whether or not anybody asked for it again.
    #[test]
    fn every_count_is_right_when_operations_are_cut_short(
        ops in prop::collection::vec((op(), 1..3000u64, 1..6usize), 1..60),
    ) {
        let mut machine = Machine::new();
        for (op, work, times) in &ops {
            for _ in 0..*times {
                machine.mm.limit(Some(*work));
                if machine.mm.settle(&machine.mem) {
                    perform(&mut machine, op);
                }
            }
            machine.mm.limit(Some(*work));
            if machine.mm.settle(&machine.mem) {
                machine.check();
            }
        }
        machine.mm.limit(None);
        prop_assert!(machine.mm.settle(&machine.mem));
        machine.check();
    }
}
