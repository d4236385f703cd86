//! Every deliberate fault must show: in the tables, in the counts, or as a BUG.

use super::Cellular;
use super::golden::run_on;
use std::string::String;
use std::vec::Vec;
use std::{format, println};

/// Workloads that say something about flushing; the rest only repeat them.
const PLAN: &str = "ptes=200 policy=eager,legacy-6.1,generic workload=mprotect,mprotect_dirty,lru_gen_walk,vmap,migrate,\
    pagemap_scan,kasan_populate,nest,switch,switch_nested,preempt_window,irq,kernel_map_pages,\
    kmap_atomic,enable_in_pause,vmalloc_fault,fork_then_section,madvise_resched,madvise_pageout,vmap_error,failing_request,\
    read_after_write";

/// What a reader of the report would notice.
fn face(cell: &Cellular) -> String {
    let r = &cell.result;
    format!(
        "{} {}: outcome {} bug {:?} differing {} mistouched {} reasons {:?} updates {}",
        r.workload.as_str(),
        r.policy.as_str(),
        r.outcome,
        r.bug,
        r.differing,
        r.mistouched,
        &cell.counts.reasons[1..],
        cell.counts.updates,
    )
}

/// With Linux's buffer, whose bytes run out first, and with one whose entries do.
fn faces(axes: &str) -> Vec<String> {
    let plan = |batch| run_on(1, &format!("{PLAN} {batch} {axes}"));
    plan("batch=linux")
        .iter()
        .chain(&plan("batch=64"))
        .map(face)
        .collect()
}

#[test]
fn each_mutant_shows() {
    let sound = faces("");
    let mut survivors = Vec::new();
    for mutant in crate::mutants() {
        let faulty = faces(&format!("mutant={}", mutant.name));
        match faulty
            .iter()
            .zip(&sound)
            .find(|(faulty, sound)| faulty != sound)
        {
            Some((face, _)) => println!("{}: {face}", mutant.name),
            None => survivors.push(mutant.name),
        }
    }
    assert!(survivors.is_empty(), "{survivors:?}");
}
