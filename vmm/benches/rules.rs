//! The page-table rules and the dispatch by criterion: `cargo bench -p xenlet --bench rules`. The
//! same is in `xenlet bench`, as ratios with limits.
#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::cell::RefCell;
use std::hint::black_box;
use xenlet::bench::rules::{Bed, MOST};

fn promotion(c: &mut Criterion) {
    let bed = RefCell::new(Bed::new().expect("memory"));
    let mut group = c.benchmark_group("tree");
    group.throughput(Throughput::Elements(bed.borrow().entries()));
    group.bench_function("pass", |b| b.iter(|| black_box(bed.borrow().pass())));
    group.bench_function("promote", |b| {
        let fresh = || {
            // The first time there is nothing to demote.
            let _ = bed.borrow_mut().demote();
            bed.borrow().lay();
        };
        b.iter_batched(
            fresh,
            |()| bed.borrow_mut().promote(),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("demote", |b| {
        let promoted = || {
            let _ = bed.borrow_mut().promote();
        };
        b.iter_batched(
            promoted,
            |()| bed.borrow_mut().demote(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn updates(c: &mut Criterion) {
    let bed = RefCell::new(Bed::new().expect("memory"));
    bed.borrow_mut().promote().expect("a good tree");
    let mut group = c.benchmark_group("mmu_update");
    for count in [1, 32, 128, MOST] {
        group.throughput(Throughput::Elements(count as u64));
        let writable = RefCell::new(false);
        group.bench_function(count.to_string(), |b| {
            let ask = || {
                let now = !writable.replace_with(|before| !*before);
                bed.borrow().ask(count, now);
            };
            b.iter_batched(
                ask,
                |()| bed.borrow_mut().update(count),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
    let spare = Bed::new().expect("memory");
    c.bench_function("mmu_update/256 plain stores", |b| {
        b.iter(|| spare.stores(MOST))
    });
}

fn dispatch(c: &mut Criterion) {
    let mut bed = Bed::new().expect("memory");
    c.bench_function("dispatch/xen_version", |b| b.iter(|| bed.version()));
}

criterion_group!(benches, promotion, updates, dispatch);
criterion_main!(benches);
