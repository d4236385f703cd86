//! An independent check of the rules: recomputes every frame's references from nothing but memory
//! and the roots, and looks for what must never be. Shares no code with the counting; it asks it
//! only for its results, to compare. Slow: for tests, fuzzing and a debug mode.

mod difference;

pub use difference::Difference;

use super::{FrameType, Mm};
use crate::memory::Memory;
use hypercalls::{Level, Maddr, Mfn};
use zerocopy::IntoBytes;

/// What holds frames from outside the page tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// Pinned tables.
    pub pins: Vec<(Level, Mfn)>,
    /// Base pointers, kernel and user, of every vCPU.
    pub bases: Vec<Mfn>,
    /// Tables held for hypercalls that are to be executed again.
    pub held: Vec<(Level, Mfn)>,
    /// Pages of GDTs in use.
    pub descriptors: Vec<Mfn>,
    /// Frames the hypervisor itself holds as writable, or shares.
    pub writable: Vec<Mfn>,
}

/// Everything that differs, or must not be. Of use only while no tree is under way
/// ([`Mm::settle`]).
#[must_use]
pub fn recount(mem: &Memory, mm: &Mm, roots: &Roots) -> Vec<Difference> {
    let mut walk = Recount {
        mem,
        mm,
        found: vec![Found::default(); mem.frames() as usize],
        queue: Vec::new(),
        wrong: Vec::new(),
    };
    walk.roots(roots);
    while let Some((table, kind)) = walk.queue.pop() {
        walk.table(table, kind);
    }
    walk.compare(roots);
    walk.wrong
}

#[derive(Clone, Copy, Default)]
struct Found {
    general: u32,
    typed: u32,
    kind: FrameType,
}

struct Recount<'a> {
    mem: &'a Memory,
    mm: &'a Mm,
    found: Vec<Found>,
    queue: Vec<(u64, FrameType)>,
    wrong: Vec<Difference>,
}

impl Recount<'_> {
    fn roots(&mut self, roots: &Roots) {
        for &(level, mfn) in roots.pins.iter().chain(&roots.held) {
            self.refer(mfn.0, as_table(level as u32));
        }
        for &mfn in &roots.bases {
            self.refer(mfn.0, FrameType::L4);
        }
        for &mfn in &roots.descriptors {
            self.refer(mfn.0, FrameType::SegDesc);
        }
        for &mfn in &roots.writable {
            self.refer(mfn.0, FrameType::Writable);
        }
    }

    /// One type reference, and the general one that comes with it.
    fn refer(&mut self, frame: u64, kind: FrameType) {
        let Some(found) = self.found.get_mut(frame as usize) else {
            return;
        };
        found.general += 1;
        if found.typed == 0 {
            found.kind = kind;
            self.queue.push((frame, kind));
        }
        found.typed += 1;
        if found.kind != kind {
            let (mfn, first) = (Mfn(frame), found.kind);
            self.wrong.push(Difference::TwoTypes {
                mfn,
                first,
                second: kind,
            });
        }
    }

    fn table(&mut self, table: u64, kind: FrameType) {
        let depth = match kind {
            FrameType::L1 => 1,
            FrameType::L2 => 2,
            FrameType::L3 => 3,
            FrameType::L4 => 4,
            FrameType::SegDesc => return self.descriptors(table),
            FrameType::None | FrameType::Writable => return,
        };
        for (slot, raw) in self.words(table).into_iter().enumerate() {
            let at = Maddr((table << 12) + 8 * slot as u64);
            if depth == 4 && (256..272).contains(&slot) {
                let installed = if slot == 257 {
                    self.mm.hv_l4_entry()
                } else {
                    0
                };
                self.require(
                    raw == installed,
                    at,
                    raw,
                    "the hypervisor's slot was changed",
                );
            } else if raw & 1 != 0 {
                self.entry(table, depth, at, raw);
            }
        }
    }

    fn entry(&mut self, table: u64, depth: u32, at: Maddr, raw: u64) {
        let frame = (raw >> 12) & ((1 << 40) - 1);
        self.require(raw & 4 != 0, at, raw, "CPL3 cannot use it");
        if frame >= self.mem.frames() {
            return self.require(depth == 1, at, raw, "a table outside memory");
        }
        self.require(
            self.mm.is_owned(Mfn(frame)),
            at,
            raw,
            "the hypervisor's frame",
        );
        if depth == 1 {
            return self.leaf(frame, raw);
        }
        self.require(
            raw & 0x198 == 0,
            at,
            raw,
            "bits an upper entry may not have",
        );
        let linear = frame == table || self.mm.type_of(Mfn(frame)) == as_table(depth);
        self.require(!linear || raw & 2 == 0, at, raw, "a writable linear map");
        if frame != table {
            self.refer(frame, as_table(if linear { depth } else { depth - 1 }));
        }
    }

    fn leaf(&mut self, frame: u64, raw: u64) {
        if raw & 2 != 0 {
            self.refer(frame, FrameType::Writable);
        } else if let Some(found) = self.found.get_mut(frame as usize) {
            found.general += 1;
        }
    }

    fn descriptors(&mut self, frame: u64) {
        for (slot, raw) in self.words(frame).into_iter().enumerate() {
            let at = Maddr((frame << 12) + 8 * slot as u64);
            let (present, dpl) = (raw >> 47 & 1 == 1, raw >> 45 & 3);
            self.require(!present || dpl == 3, at, raw, "a privileged descriptor");
        }
    }

    fn require(&mut self, holds: bool, at: Maddr, raw: u64, what: &'static str) {
        if !holds {
            self.wrong.push(Difference::Entry { at, raw, what });
        }
    }

    fn words(&self, frame: u64) -> [u64; 512] {
        let mut words = [0; 512];
        // A frame outside memory has no words, and was reported by whoever referred to it.
        let _outside = self.mem.read(Maddr(frame << 12), words.as_mut_bytes());
        words
    }

    fn compare(&mut self, roots: &Roots) {
        for (frame, found) in (0..).zip(&self.found) {
            let mfn = Mfn(frame);
            let (general, typed) = self.mm.counts(mfn);
            let recorded = (self.mm.type_of(mfn), general, typed);
            let found = (found.kind, found.general, found.typed);
            if recorded != found {
                self.wrong.push(Difference::Count {
                    mfn,
                    recorded,
                    found,
                });
            }
            let rooted = roots.pins.iter().any(|&(_, pinned)| pinned == mfn);
            if rooted != self.mm.is_pinned(mfn) {
                self.wrong.push(Difference::Pin { mfn });
            }
        }
    }
}

fn as_table(depth: u32) -> FrameType {
    match depth {
        1 => FrameType::L1,
        2 => FrameType::L2,
        3 => FrameType::L3,
        _ => FrameType::L4,
    }
}
