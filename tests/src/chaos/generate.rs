//! Steps of a hostile guest: memory filled, then one trap. Most are shaped like real requests, so
//! that they get past the first check; the rest is noise.

use super::words::{Frame, Word, frame, pte, raw, slot, word};
use hypercalls::{DOMID_SELF, Nr};
use proptest::collection::vec;
use proptest::prelude::*;

/// What the guest does.
#[derive(Clone, Debug)]
pub enum Act {
    /// `syscall`: rax, then rdi, rsi, rdx, r10, r8.
    Call(u64, [Word; 5]),
    /// An instruction that traps: its bytes, the vector, error code, faulting address, and what
    /// the registers hold.
    Trap(Vec<u8>, u8, u64, Word, [Word; 4]),
    /// An upcall, if one is due.
    Upcall,
    /// Time passes.
    Timers,
}

/// One step of one vCPU.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which, modulo those there are.
    pub cpu: u8,
    /// What it writes to its argument pages first: page, word index, words.
    pub fills: Vec<(u8, u16, Vec<Word>)>,
    /// What it does then.
    pub act: Act,
}

/// A sequence of up to `most` steps.
pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..most)
}

/// One step.
pub fn step() -> impl Strategy<Value = Step> {
    let act = prop_oneof![
        10 => mmu_update(),
        8 => mmuext_op(),
        4 => va_mapping(),
        4 => multicall(),
        3 => descriptors(),
        4 => vcpu_op(),
        2 => initialise(),
        3 => with_argument(Nr::EventChannelOp, 12, 3),
        1 => with_argument(Nr::SchedOp, 5, 4),
        1 => with_argument(Nr::CallbackOp, 3, 2),
        2 => with_argument(Nr::Lab, 6, 16),
        1 => with_argument(Nr::MemoryOp, 64, 3),
        1 => with_argument(Nr::XenVersion, 11, 2),
        1 => with_argument(Nr::ConsoleIo, 3, 3),
        1 => trap_table(),
        2 => simple(),
        3 => noise(),
        6 => trap(),
        1 => iret(),
        1 => Just((vec![], Act::Upcall)),
        1 => Just((vec![], Act::Timers)),
    ];
    (0..4u8, act).prop_map(|(cpu, (fills, act))| Step { cpu, fills, act })
}

type Fills = Vec<(u8, u16, Vec<Word>)>;
type Made = (Fills, Act);

/// A hypercall whose first request lies on page 0.
fn call(nr: Nr, args: [Word; 5]) -> Act {
    Act::Call(nr as u64, args)
}

const ZERO: Word = Word::Raw(0);
const ARRAY: Word = Word::Page(0, 0);

fn done() -> impl Strategy<Value = Word> {
    prop_oneof![3 => Just(ZERO), 3 => Just(Word::Page(3, 0)), 1 => word()]
}

fn domain() -> impl Strategy<Value = Word> {
    let own = Word::Raw(u64::from(DOMID_SELF));
    prop_oneof![12 => Just(own), 1 => raw().prop_map(Word::Raw)]
}

/// A number of requests that is not what there are; mostly none, which is the truth.
fn lie() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![12 => Just(None), 1 => raw().prop_map(Some)]
}

/// How many requests there are, or the lie.
fn count(lie: Option<u64>, real: usize) -> Word {
    Word::Raw(lie.unwrap_or(real as u64))
}

fn mmu_update() -> impl Strategy<Value = Made> {
    let command = prop_oneof![8 => Just(0u8), 2 => Just(2), 1 => 0..8u8];
    let target = prop_oneof![
        12 => (frame(), slot(), command).prop_map(|(f, s, c)| Word::Entry(f, s, c)),
        1 => word(),
    ];
    let requests = vec((target, pte()), 1..6);
    (requests, lie(), done(), domain()).prop_map(|(requests, lie, done, who)| {
        let n = count(lie, requests.len());
        let words = requests.iter().flat_map(|&(at, new)| [at, new]).collect();
        let act = call(Nr::MmuUpdate, [ARRAY, n, done, who, ZERO]);
        (vec![(0, 0, words)], act)
    })
}

fn mmuext_op() -> impl Strategy<Value = Made> {
    let command = prop_oneof![
        6 => 0..4u64, 4 => Just(4u64), 3 => Just(5), 2 => Just(15), 3 => 6..22u64, 1 => raw(),
    ];
    let first = prop_oneof![8 => frame().prop_map(Word::Mfn), 1 => word()];
    let second = prop_oneof![1 => frame().prop_map(Word::Mfn), 1 => word()];
    let ops = vec((command, first, second), 1..5);
    (ops, lie(), done(), domain()).prop_map(|(ops, lie, done, who)| {
        let n = count(lie, ops.len());
        let words = ops
            .iter()
            .flat_map(|&(cmd, a, b)| [Word::Raw(cmd), a, b])
            .collect();
        let act = call(Nr::MmuextOp, [ARRAY, n, done, who, ZERO]);
        (vec![(0, 0, words)], act)
    })
}

fn va_mapping() -> impl Strategy<Value = Made> {
    let va = prop_oneof![6 => frame().prop_map(|f| Word::Va(f, 0)), 1 => word()];
    let flags = prop_oneof![6 => (0..8u64).prop_map(Word::Raw), 1 => word()];
    (va, pte(), flags, domain(), any::<bool>()).prop_map(|(va, pte, flags, who, other)| {
        let nr = match other {
            true => Nr::UpdateVaMappingOtherdomain,
            false => Nr::UpdateVaMapping,
        };
        (vec![], call(nr, [va, pte, flags, who, ZERO]))
    })
}

/// Entries on page 1, so that those on page 0 may be their arguments.
fn multicall() -> impl Strategy<Value = Made> {
    let entry = prop_oneof![
        4 => prop_oneof![va_mapping(), mmu_update(), mmuext_op(), simple()],
        1 => prop_oneof![noise(), iret(), multicall_of_nothing()],
    ];
    (vec(entry, 1..6), lie()).prop_map(|(made, lie)| {
        let mut fills: Fills = Vec::new();
        let mut entries = Vec::new();
        let n = count(lie, made.len());
        for (more, act) in made {
            fills.extend(more);
            if let Act::Call(nr, args) = act {
                entries.extend([Word::Raw(nr), ZERO]);
                entries.extend(args);
                entries.push(ZERO);
            }
        }
        fills.push((1, 0, entries));
        (
            fills,
            call(Nr::Multicall, [Word::Page(1, 0), n, ZERO, ZERO, ZERO]),
        )
    })
}

fn multicall_of_nothing() -> impl Strategy<Value = Made> {
    Just((
        vec![],
        call(
            Nr::Multicall,
            [Word::Page(1, 0), Word::Raw(2), ZERO, ZERO, ZERO],
        ),
    ))
}

fn descriptors() -> impl Strategy<Value = Made> {
    let value = prop_oneof![
        prop::sample::select(vec![
            0,
            0x00af_9b00_0000_ffff,
            0x0000_8900_0000_0067,
            u64::MAX
        ]),
        any::<u64>(),
    ];
    let gdt = (
        vec(frame().prop_map(Word::Mfn), 1..4),
        prop_oneof![3 => 0..1600u64, 1 => raw()],
    )
        .prop_map(|(frames, entries)| {
            let act = call(Nr::SetGdt, [ARRAY, Word::Raw(entries), ZERO, ZERO, ZERO]);
            (vec![(0, 0, frames)], act)
        });
    let one = (frame(), slot(), 0..8u8, value).prop_map(|(f, s, low, value)| {
        let at = Word::Entry(f, s, low & 4);
        (
            vec![],
            call(
                Nr::UpdateDescriptor,
                [at, Word::Raw(value), ZERO, ZERO, ZERO],
            ),
        )
    });
    prop_oneof![gdt, one]
}

fn vcpu_op() -> impl Strategy<Value = Made> {
    let command = prop_oneof![6 => 1..14u64, 1 => Just(10u64), 1 => raw()];
    let target = prop_oneof![4 => 0..3u64, 1 => raw()];
    let first = prop_oneof![3 => frame().prop_map(Word::Mfn), 2 => word()];
    (command, target, first, word(), pointer()).prop_map(|(command, target, a, b, at)| {
        let args = [Word::Raw(command), Word::Raw(target), at, ZERO, ZERO];
        (vec![(0, 0, vec![a, b])], call(Nr::VcpuOp, args))
    })
}

/// A vCPU's first state, at the places of `vcpu_guest_context`, in words.
fn initialise() -> impl Strategy<Value = Made> {
    const LDT: u16 = (512 + 8 + 200 + 4096) / 8;
    const GDT: u16 = LDT + 2;
    const CONTROL: u16 = GDT + 16 + 1 + 2;
    let table = || prop_oneof![6 => frame(), 1 => Just(Frame::Table(0))];
    (
        table(),
        table(),
        any::<bool>(),
        vec(frame(), 0..3),
        0..3u64,
        word(),
    )
        .prop_map(|(root, user, has_user, gdt, target, odd)| {
            let cr = |f| Word::Entry(f, 0, 0);
            let user = if has_user { cr(user) } else { ZERO };
            let entries = Word::Raw(gdt.len() as u64 * 512);
            let mut frames: Vec<Word> = gdt.into_iter().map(Word::Mfn).collect();
            frames.resize(16, ZERO);
            frames.push(entries);
            let at = |index: u16, words| (4 + (index / 512) as u8, index % 512, words);
            let fills = vec![
                at(0, vec![ZERO; 512]),
                at(512, vec![ZERO; 134]),
                at(LDT, vec![ZERO, ZERO]),
                at(GDT, frames),
                at(CONTROL, vec![odd, user, ZERO, cr(root)]),
            ];
            let args = [
                Word::Raw(0),
                Word::Raw(target),
                Word::Page(4, 0),
                ZERO,
                ZERO,
            ];
            (fills, call(Nr::VcpuOp, args))
        })
}

fn pointer() -> impl Strategy<Value = Word> {
    prop_oneof![8 => Just(ARRAY), 1 => word()]
}

/// A call with a command below `commands` and `words` words behind a pointer.
fn with_argument(nr: Nr, commands: u64, words: usize) -> impl Strategy<Value = Made> {
    let command = prop_oneof![12 => 0..commands, 1 => raw()];
    (command, pointer(), vec(word(), words), word()).prop_map(move |(command, at, words, third)| {
        let args = match nr {
            Nr::ConsoleIo => [Word::Raw(command), third, at, ZERO, ZERO],
            _ => [Word::Raw(command), at, third, ZERO, ZERO],
        };
        (vec![(0, 0, words)], call(nr, args))
    })
}

fn trap_table() -> impl Strategy<Value = Made> {
    let handler = prop_oneof![Just(Word::Page(2, 0x40)), word()];
    vec((0..256u64, 0..8u64, handler), 1..8).prop_map(|handlers| {
        let mut words: Vec<Word> = handlers
            .into_iter()
            .flat_map(|(vector, flags, at)| [Word::Raw(vector | flags << 8 | 0xe033 << 16), at])
            .collect();
        words.extend([ZERO; 2]);
        (
            vec![(0, 0, words)],
            call(Nr::SetTrapTable, [ARRAY, ZERO, ZERO, ZERO, ZERO]),
        )
    })
}

/// Calls whose arguments are all in registers.
fn simple() -> impl Strategy<Value = Made> {
    let nr = prop::sample::select(vec![
        Nr::StackSwitch,
        Nr::SetCallbacks,
        Nr::FpuTaskswitch,
        Nr::SetDebugreg,
        Nr::GetDebugreg,
        Nr::SetTimerOp,
        Nr::VmAssist,
        Nr::VmAssist,
        Nr::SetSegmentBase,
        Nr::PhysdevOp,
    ]);
    let assist = (0..2u64, 0..6u64);
    (nr, assist, [word(), word(), word()]).prop_map(|(nr, (command, kind), [a, b, c])| {
        let args = match nr {
            Nr::VmAssist => [Word::Raw(command), Word::Raw(kind), ZERO, ZERO, ZERO],
            _ => [a, b, c, ZERO, ZERO],
        };
        (vec![], call(nr, args))
    })
}

/// Any number, anything in the registers, anything in memory.
fn noise() -> impl Strategy<Value = Made> {
    let nr = prop_oneof![8 => 0..64u64, 1 => raw()];
    let args = [word(), word(), word(), word(), word()];
    (nr, args, vec(word(), 0..32))
        .prop_map(|(nr, args, words)| (vec![(0, 0, words)], Act::Call(nr, args)))
}

fn iret() -> impl Strategy<Value = Made> {
    let cs = prop::sample::select(vec![0xe030, 0xe033, 0x33, 0x23, 0, 0xffff]);
    ([word(), word()], cs, [word(), word()]).prop_map(|([rip, rsp], cs, [rflags, ss])| {
        let frame = vec![ZERO, ZERO, ZERO, ZERO, rip, Word::Raw(cs), rflags, rsp, ss];
        (vec![(5, 0, frame)], call(Nr::Iret, [ZERO; 5]))
    })
}

/// Instructions that reach an emulator, and noise.
fn trap() -> impl Strategy<Value = Made> {
    let known: Vec<Vec<u8>> = [
        &[0x48, 0x89, 0x07][..],                           // mov %rax,(%rdi)
        &[0x89, 0x07],                                     // mov %eax,(%rdi)
        &[0x66, 0x89, 0x07],                               // mov %ax,(%rdi)
        &[0x88, 0x07],                                     // mov %al,(%rdi)
        &[0x48, 0x87, 0x07],                               // xchg %rax,(%rdi)
        &[0xf0, 0x48, 0x0f, 0xb1, 0x37],                   // lock cmpxchg %rsi,(%rdi)
        &[0xf0, 0x48, 0x0f, 0xab, 0x37],                   // lock bts %rsi,(%rdi)
        &[0xf0, 0x48, 0x0f, 0xba, 0x37, 1],                // lock btr $1,(%rdi)
        &[0xf0, 0x48, 0x81, 0x27, 0, 0xf0, 0xff, 0xff],    // lock and $~0xfff,(%rdi)
        &[0xf0, 0x48, 0x0f, 0xc1, 0x37],                   // lock xadd %rsi,(%rdi)
        &[0x48, 0x8b, 0x07],                               // mov (%rdi),%rax
        &[0x0f, 0x0b, b'x', b'e', b'n', 0x0f, 0xa2],       // cpuid, forced
        &[0x0f, 0x22, 0xd8],                               // mov %rax,%cr3
        &[0x0f, 0x20, 0xd8],                               // mov %cr3,%rax
        &[0x0f, 0x22, 0xc0],                               // mov %rax,%cr0
        &[0x0f, 0x30],                                     // wrmsr
        &[0x0f, 0x32],                                     // rdmsr
        &[0x8e, 0xe0],                                     // mov %eax,%fs
        &[0x8e, 0x17],                                     // mov (%rdi),%ss
        &[0xcd, 0x80],                                     // int $0x80
        &[0xec],                                           // in %dx,%al
        &[0xef],                                           // out %eax,%dx
        &[0x48, 0xcf],                                     // iretq
        &[0xfa],                                           // cli
        &[0x64, 0x48, 0x89, 0x07],                         // mov %rax,%fs:(%rdi)
        &[0x48, 0x89, 0x84, 0xf7, 0xff, 0xff, 0xff, 0x7f], // mov %rax,2^31-1(%rdi,%rsi,8)
    ]
    .iter()
    .map(|code| code.to_vec())
    .collect();
    let code = prop_oneof![5 => prop::sample::select(known), 1 => vec(any::<u8>(), 0..16)];
    let vector = prop_oneof![5 => Just(14u8), 4 => Just(13), 2 => Just(6), 1 => 0..32u8];
    let error = prop_oneof![4 => Just(7u64), 3 => Just(0), 1 => Just(0x802), 1 => raw()];
    let target = prop_oneof![
        5 => (frame(), slot()).prop_map(|(f, s)| Word::Va(f, s * 8)),
        1 => word(),
    ];
    (code, vector, error, target, (pte(), word(), word())).prop_map(
        |(code, vector, error, target, (rax, rsi, rcx))| {
            (
                vec![],
                Act::Trap(code, vector, error, target, [rax, rsi, rcx, target]),
            )
        },
    )
}
