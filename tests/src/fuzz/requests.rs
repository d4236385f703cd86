//! The decoders of request arrays: `mmu_update`, `mmuext_op`, `multicall`. An input is a call's
//! registers and the bytes that they point to; after the call every reference is recounted, and
//! what the guest is told is held against a second, much simpler reading of the same bytes.
//!
//! Layout: one byte which call, one byte of choices, two bytes of count, then words of eight bytes,
//! little-endian. A word whose highest byte is a tag stands for a number that only the domain
//! knows (a frame's, an address); any other is itself.

use crate::chaos::{Act, Frame, Guest, Step, Tally, Word};
use hypercalls::mmu::{MMU_COMMAND_MASK, MMU_UPDATE_PREEMPTED};
use hypercalls::{DOMID_IO, DOMID_SELF, DOMID_XEN, Errno, Nr, Vaddr};
use xenlet::domain;

/// Bytes before the words.
const HEAD: usize = 4;
/// Words looked at: what three argument pages hold.
const WORDS: usize = 3 * 512;
/// Bytes looked at.
pub const LONGEST: usize = HEAD + 8 * WORDS;
/// The argument page that `done` is on, past the words.
const DONE_PAGE: u8 = 3;
const DONE: Word = Word::Page(DONE_PAGE, 0x800);
/// What `done` holds before.
const DONE_BEFORE: u64 = 7;

const TAG_MFN: u8 = 0xd0;
const TAG_ENTRY: u8 = 0xd1;
const TAG_PTE: u8 = 0xd2;
const TAG_PAGE: u8 = 0xd3;
const TAG_VA: u8 = 0xd4;

/// The target.
///
/// # Panics
/// If something does not hold.
pub fn requests(input: &[u8]) {
    let input = &input[..input.len().min(LONGEST)];
    let Some((head, rest)) = input.split_first_chunk::<HEAD>() else {
        return;
    };
    let words: Vec<Word> = rest
        .chunks(8)
        .map(|chunk| {
            let mut raw = [0; 8];
            raw[..chunk.len()].copy_from_slice(chunk);
            word(u64::from_le_bytes(raw))
        })
        .collect();
    let call = Call::read(*head, words.len());
    if let Err(wrong) = call.check(&words) {
        panic!("{call:?}: {wrong}\n{words:#x?}");
    }
}

/// One call, as the input chooses it.
#[derive(Clone, Copy, Debug)]
struct Call {
    nr: Nr,
    count: u64,
    done: bool,
    domains: u64,
}

impl Call {
    fn read([which, choices, low, high]: [u8; HEAD], words: usize) -> Call {
        let (nr, size) = match which % 3 {
            0 => (Nr::MmuUpdate, 2),
            1 => (Nr::MmuextOp, 3),
            _ => (Nr::Multicall, 8),
        };
        let given = u64::from(u16::from_le_bytes([low, high]));
        let count = match choices & 3 {
            0 | 1 => words.div_ceil(size) as u64,
            2 => given,
            _ => given | u64::from(MMU_UPDATE_PREEMPTED),
        };
        let domains = match choices >> 4 {
            0..8 => u64::from(DOMID_SELF),
            8 => u64::from(DOMID_IO),
            9 => u64::from(DOMID_XEN),
            10 => u64::from(DOMID_SELF) | 2 << 16,
            11 => u64::from(DOMID_SELF) | 3 << 16,
            other => u64::from(other),
        };
        Call {
            nr,
            count,
            done: choices & 4 == 0,
            domains,
        }
    }

    /// Makes the call on a fresh domain.
    fn check(self, words: &[Word]) -> Result<(), String> {
        let mut guest = Guest::new(1)?;
        let mut fills: Vec<(u8, u16, Vec<Word>)> = words
            .chunks(512)
            .enumerate()
            .map(|(page, words)| (page as u8, 0, words.to_vec()))
            .collect();
        fills.push((DONE_PAGE, 0x100, vec![Word::Raw(DONE_BEFORE)]));
        let done = if self.done { DONE } else { Word::Raw(0) };
        let args = [
            Word::Page(0, 0),
            Word::Raw(self.count),
            done,
            Word::Raw(self.domains),
            Word::Raw(0),
        ];
        let step = Step {
            cpu: 0,
            fills,
            act: Act::Call(self.nr as u64, args),
        };
        let before: Vec<u64> = words.iter().map(|w| w.value(&guest.dom)).collect();
        let next = guest.step(&step, &mut Tally::default())?;
        let after = Answer::read(&guest, before.len());
        match after {
            Some(after) if next == Some(domain::Step::Resume) => self.told(&before, &after),
            _ => Ok(()),
        }
    }

    /// Holds the answer against the requests; says nothing where the guest changed them by itself.
    fn told(self, before: &[u64], after: &Answer) -> Result<(), String> {
        match self.nr {
            Nr::MmuUpdate if self.done && after.words == before => self.updates(before, after),
            Nr::Multicall => multicall(self.count as u32, before, after),
            _ => Ok(()),
        }
    }

    /// `done` says where it stopped, and a command that does not exist is where it stops.
    fn updates(self, words: &[u64], after: &Answer) -> Result<(), String> {
        let count = self.count as u32 & !MMU_UPDATE_PREEMPTED;
        let base = match self.count as u32 & MMU_UPDATE_PREEMPTED {
            0 => 0,
            _ => DONE_BEFORE as u32,
        };
        let (ret, told) = (after.ret, after.done);
        let table_domain = self.domains >> 16;
        if table_domain > 2 || table_domain == 1 {
            let untouched = told == DONE_BEFORE as u32;
            return must(ret == Errno::ESRCH.to_ret() && untouched, "table domain");
        }
        let handled = told.wrapping_sub(base);
        let owner = self.domains as u16;
        if ![DOMID_SELF, DOMID_IO, DOMID_XEN].contains(&owner) {
            return must(
                ret == Errno::ESRCH.to_ret() && handled == 0,
                "foreign domain",
            );
        }
        if ret == 0 {
            return must(handled == count, "all are done");
        }
        must(handled < count, "one is not done")?;
        let command = |i: u32| {
            let ptr = words.get(2 * i as usize).copied().unwrap_or(0);
            ptr & MMU_COMMAND_MASK
        };
        let bad = (0..handled).find(|&i| command(i) > 3);
        must(bad.is_none(), "no command that does not exist was done")?;
        let unknown = command(handled) > 3;
        must(
            owner != DOMID_SELF || unknown == (ret == Errno::ENOSYS.to_ret()),
            "ENOSYS is for commands that do not exist",
        )
    }
}

/// Up to the first entry that does something, each has its own error.
fn multicall(count: u32, before: &[u64], after: &Answer) -> Result<(), String> {
    if after.ret != 0 {
        return Ok(());
    }
    let entries = before.chunks_exact(8).zip(after.words.chunks_exact(8));
    for (entry, answered) in entries.take(count as usize) {
        let expected = match Nr::from_raw(entry[0]) {
            Some(Nr::Multicall) => Errno::EINVAL,
            None => Errno::ENOSYS,
            Some(_) => return Ok(()),
        };
        must(
            answered[1] as i64 == expected.to_ret(),
            "each entry's error",
        )?;
    }
    Ok(())
}

fn must(holds: bool, what: &str) -> Result<(), String> {
    holds.then_some(()).ok_or_else(|| format!("not so: {what}"))
}

/// What the guest finds afterwards.
struct Answer {
    ret: i64,
    done: u32,
    words: Vec<u64>,
}

impl Answer {
    /// Nothing if the guest's pages are not there any more.
    fn read(guest: &Guest, words: usize) -> Option<Answer> {
        let view = guest.dom.kernel_view(0);
        let at = |word: Word| Vaddr(word.value(&guest.dom));
        let word = |i: usize| view.read_obj(at(Word::Page(0, 0)).add(8 * i as u64)).ok();
        Some(Answer {
            ret: guest.regs[0].rax as i64,
            done: view.read_obj(at(DONE)).ok()?,
            words: (0..words).map(word).collect::<Option<_>>()?,
        })
    }
}

/// What eight bytes stand for.
fn word(raw: u64) -> Word {
    let (low, middle) = (raw as u16, (raw >> 16) as u16);
    let frame = frame((raw >> 48) as u8, (raw >> 40) as u8);
    match (raw >> 56) as u8 {
        TAG_MFN => Word::Mfn(frame),
        TAG_ENTRY => Word::Entry(frame, low & 511, (middle & 7) as u8),
        TAG_PTE => {
            let high = u64::from(middle & 1) << 63 | u64::from(middle >> 1 & 1) << 52;
            Word::Pte(frame, high | u64::from(low & 0xfff))
        }
        TAG_PAGE => Word::Page(middle as u8 % DONE_PAGE, low & 0xfff),
        TAG_VA => Word::Va(frame, low & 0xfff),
        _ => Word::Raw(raw),
    }
}

fn frame(kind: u8, n: u8) -> Frame {
    match kind % 5 {
        0 => Frame::Table(n % 8),
        1 => Frame::Data(n % 6),
        2 => Frame::Free(n % 10),
        3 => Frame::Shared,
        _ => Frame::StartInfo,
    }
}
