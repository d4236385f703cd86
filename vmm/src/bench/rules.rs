//! The page-table rules and the dispatch without a CPU: what the hypervisor itself takes for an
//! update, a promotion, a hypercall, beside the plain loops over the same entries.
//!
//! [`Bed`] is what `xenlet bench` and the criterion bench both lie on.

use super::BenchError;
use crate::domain::Domain;
use crate::hypercall;
use crate::kvm::StartError;
use crate::mm::Refusal;
use crate::report::bench::Measure;
use hypercalls::mmu::MmuUpdate;
use hypercalls::pte::ENTRIES;
use hypercalls::{DOMID_SELF, Level, Mfn, Nr, Pte, PteFlags, Vaddr};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Memory: what the tables map, and the tables.
const MEM_MIB: u64 = 264;
/// Tables of leaves, which map 256 MiB.
const L1S: u64 = 128;
const PER_TABLE: u64 = ENTRIES as u64;
/// Requests that lie on one page.
pub const MOST: usize = 256;
const SAMPLES: usize = 51;
/// The most an update may take, in ns.
const UPDATE_NS: f64 = 60.0;
/// The most a promotion may take, in passes over the tree.
const PASSES: f64 = 2.0;

/// A domain, a tree of tables that is not promoted, and a page for requests.
#[derive(Debug)]
pub struct Bed {
    dom: Domain,
    root: Mfn,
    requests: Vaddr,
}

impl Bed {
    /// Builds it, on a host that need not be shown any store.
    ///
    /// # Errors
    /// If the memory is not to be had.
    pub fn new() -> Result<Bed, BenchError> {
        let (mut dom, _) = Domain::bare(MEM_MIB, 1).map_err(StartError::Build)?;
        dom.mm.show_stores(None);
        let root = dom.first_mfn().add(dom.layout.mapped);
        let requests = dom.layout.va(dom.layout.boot_stack.add(1));
        let bed = Bed {
            dom,
            root,
            requests,
        };
        bed.lay();
        Ok(bed)
    }

    fn l1(&self) -> Mfn {
        self.root.add(3)
    }

    /// The first of the frames that the leaves map.
    fn data(&self) -> Mfn {
        self.l1().add(L1S)
    }

    fn store(&self, table: Mfn, slot: u64, entry: u64) {
        // In memory by construction.
        let _ = self.dom.memory.write_u64(table.entry(slot as usize), entry);
    }

    /// Writes every entry as a guest would: the rules will adjust each.
    pub fn lay(&self) {
        let flags = PteFlags::PRESENT | PteFlags::RW | PteFlags::USER;
        let to = |mfn| Pte::new(mfn, flags).0;
        self.store(self.root, 0, to(self.root.add(1)));
        self.store(self.root.add(1), 0, to(self.root.add(2)));
        for i in 0..L1S {
            self.store(self.root.add(2), i, to(self.l1().add(i)));
        }
        for i in 0..L1S * PER_TABLE {
            let data = self.data().add(i % (L1S * PER_TABLE - 1024));
            self.store(self.l1().add(i / PER_TABLE), i % PER_TABLE, to(data));
        }
    }

    /// Entries of the tree.
    #[must_use]
    pub fn entries(&self) -> u64 {
        (3 + L1S) * PER_TABLE
    }

    /// One pass over them: each is loaded once and looked at whether it is present, and an upper one
    /// that is, is followed.
    #[must_use]
    pub fn pass(&self) -> u64 {
        self.pass_below(self.root, Level::L4)
    }

    fn pass_below(&self, table: Mfn, level: Level) -> u64 {
        let mut sum = 0;
        for slot in 0..ENTRIES {
            let raw = self.dom.memory.read_u64(table.entry(slot)).unwrap_or(0);
            if !Pte(black_box(raw)).is_present() {
                continue;
            }
            sum += 1;
            if let Some(below) = level.below() {
                sum += self.pass_below(Pte(raw).mfn(), below);
            }
        }
        sum
    }

    /// Promotes the tree.
    ///
    /// # Errors
    /// None, unless the rules are wrong.
    pub fn promote(&mut self) -> Result<(), Refusal> {
        self.dom.mm.pin(&self.dom.memory, Level::L4, self.root)
    }

    /// Demotes it.
    ///
    /// # Errors
    /// If it is not promoted.
    pub fn demote(&mut self) -> Result<(), Refusal> {
        let done = self.dom.mm.unpin(&self.dom.memory, self.root);
        self.dom.mm.take_effects();
        done
    }

    /// Writes `count` requests, to be made by [`Bed::update`]: the first leaves, writable or not.
    pub fn ask(&self, count: usize, writable: bool) {
        let flags = PteFlags::PRESENT | PteFlags::USER | PteFlags::ACCESSED;
        let flags = match writable {
            true => flags | PteFlags::RW,
            false => flags,
        };
        for i in 0..count.min(MOST) {
            let request = MmuUpdate {
                ptr: self.l1().entry(i).0,
                val: Pte::new(self.data().add(i as u64), flags).0,
            };
            let at = self.requests.add(16 * i as u64);
            // Mapped by construction.
            let _ = self.dom.kernel_view(0).write_obj(at, &request);
        }
    }

    /// One `mmu_update` of the requests; its result.
    pub fn update(&mut self, count: usize) -> i64 {
        let args = [self.requests.0, count as u64, 0, DOMID_SELF.into(), 0, 0];
        let result = hypercall::call(&mut self.dom, 0, Nr::MmuUpdate as u64, args);
        self.dom.mm.effects().stores.clear();
        result.unwrap_or(-1)
    }

    /// As many plain stores to the same entries.
    pub fn stores(&self, count: usize) {
        for i in 0..count {
            self.store(self.l1(), i as u64, black_box(i as u64));
        }
    }

    /// One hypercall that does next to nothing.
    pub fn version(&mut self) -> i64 {
        let result = hypercall::call(&mut self.dom, 0, Nr::XenVersion as u64, [0; 6]);
        result.unwrap_or(-1)
    }
}

/// All of them.
pub(super) fn measure() -> Result<Vec<Measure>, BenchError> {
    let mut bed = Bed::new()?;
    let wrong = |refusal: Refusal| BenchError::Guest(format!("was refused: {refusal}"));
    let promotion = promotion(&mut bed).map_err(wrong)?;
    bed.promote().map_err(wrong)?;
    let mut measures = vec![promotion, round_trip(&mut bed)];
    for count in [32, MOST] {
        measures.push(updates(&mut bed, count)?);
    }
    Ok(measures)
}

fn promotion(bed: &mut Bed) -> Result<Measure, Refusal> {
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    let per_entry = |took: Duration, bed: &Bed| took.as_nanos() as f64 / bed.entries() as f64;
    for _ in 0..SAMPLES {
        bed.lay();
        let start = Instant::now();
        black_box(bed.pass());
        floor.push(per_entry(start.elapsed(), bed));
        let start = Instant::now();
        bed.promote()?;
        ours.push(per_entry(start.elapsed(), bed));
        bed.demote()?;
    }
    let name = "promotion of a full tree, per entry, beside a pass over it";
    Ok(super::measure(name, "ns", ours, Some(floor), PASSES))
}

/// Nanoseconds of one `what`, of many in a row.
fn timed(times: u32, mut what: impl FnMut(u32)) -> f64 {
    let start = Instant::now();
    for i in 0..times {
        what(i);
    }
    start.elapsed().as_nanos() as f64 / f64::from(times)
}

fn round_trip(bed: &mut Bed) -> Measure {
    let each = |_| {
        timed(10_000, |_| {
            black_box(bed.version());
        })
    };
    let samples: Vec<f64> = (0..SAMPLES).map(each).collect();
    super::measure(
        "dispatch of one hypercall, without its trap",
        "ns",
        samples,
        None,
        1000.0,
    )
}

fn updates(bed: &mut Bed, count: usize) -> Result<Measure, BenchError> {
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    let mut failed = false;
    for sample in 0..SAMPLES {
        // Each sample changes every entry: from writable to not, or back.
        bed.ask(count, sample % 2 == 0);
        let start = Instant::now();
        failed |= bed.update(count) != 0;
        ours.push(start.elapsed().as_nanos() as f64 / count as f64);
    }
    if failed {
        return Err(BenchError::Guest("was refused an update".into()));
    }
    // Last: they spoil the entries. No rules look at them any more.
    let spare = Bed::new()?;
    for _ in 0..SAMPLES {
        floor.push(timed(100, |_| spare.stores(count)) / count as f64);
    }
    let name = format!("mmu_update of {count}, per entry, beside a plain store");
    let mut measure = super::measure(&name, "ns", ours, Some(floor), UPDATE_NS);
    // What is bounded is the time itself.
    measure.limit = measure.floor.map(|floor| UPDATE_NS / floor);
    Ok(measure)
}
