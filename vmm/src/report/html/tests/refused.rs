//! Files that no page is made of: each is named, in one line.

use super::fixture::{kernel, lab, lab_report, report, row};
use crate::report::html::{Input, page, read};
use crate::report::measure::{Runner, Status};
use std::path::Path;

fn refused(inputs: &[Input]) -> String {
    let said = page(inputs).expect_err("no page").to_string();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn sound(name: &str) -> Input {
    kernel(name, &[row("mprotect", 512, &[(1, 512)])])
}

#[test]
fn rows_of_different_runners_are_not_comparable() {
    let mut b = sound("b");
    report(&mut b, |r| {
        let (name, version) = ("init".to_owned(), 2);
        r.runner = Some(Runner { name, version });
    });
    let said = "a.json is by runner init 1, b.json by init 2: their operations are not the same";
    assert_eq!(refused(&[sound("a"), b.clone()]), said);
    report(&mut b, |r| r.runner = None);
    let said = "b.json: no runner ran in that guest, there is nothing to compare";
    assert_eq!(refused(&[b]), said);
}

#[test]
fn nothing_measured_is_nothing_to_draw() {
    let mut none = sound("a");
    report(&mut none, |r| r.results[0].status = Status::Failed);
    assert_eq!(refused(&[none.clone()]), "a.json: no row was measured");
    report(&mut none, |r| r.results.clear());
    assert_eq!(refused(&[none]), "a.json: no row was measured");
    let mut empty = lab();
    lab_report(&mut empty, |r| r.results.clear());
    assert_eq!(refused(&[empty]), "lab.json: no row was measured");
    assert_eq!(refused(&[]), "no report was given");
}

#[test]
fn nothing_is_on_the_page_twice() {
    let mut again = sound("a");
    again.file = "b.json".to_owned();
    assert_eq!(
        refused(&[sound("a"), again]),
        "a.json and b.json are the same report"
    );
    let mut twice = sound("a");
    report(&mut twice, |r| r.results.push(r.results[0].clone()));
    assert_eq!(refused(&[twice]), "a.json: two rows for mprotect 512");
    let mut other = lab();
    other.file = "other.json".to_owned();
    lab_report(&mut other, |r| r.host.wall_ms = 1);
    assert_eq!(
        refused(&[lab(), other]),
        "other.json: two rows for mprotect/eager"
    );
}

#[test]
fn lab_rows_of_two_sizes_are_no_table() {
    let mut other = lab();
    lab_report(&mut other, |r| {
        r.results.iter_mut().for_each(|r| r.ptes = 64)
    });
    let said = "lab.json: mprotect/eager is of 64 PTEs, batch linux, 1 vCPU, other lab rows of \
                512 PTEs, batch linux, 1 vCPU: not comparable";
    assert_eq!(refused(&[lab(), other]), said);
}

#[test]
fn a_matrix_nobody_could_look_at_is_not_made() {
    let mut large = lab();
    lab_report(&mut large, |r| {
        let rows = (0..400).map(|n| {
            let mut row = r.results[0].clone();
            (row.workload, row.policy) = (n.to_string(), n.to_string());
            row
        });
        r.results = rows.collect();
    });
    assert_eq!(
        refused(&[large]),
        "lab.json: more workloads and policies than a page can show"
    );
}

#[test]
fn a_file_without_an_end_is_not_read_to_it() {
    let endless = read(Path::new("/dev/zero"));
    let said = endless.expect_err("no report").to_string();
    assert_eq!(said, "/dev/zero: larger than any report");
}
