//! What is on a page, what is said first, what is refused.

mod fixture;
mod refused;

use super::{Input, Page, page};
use crate::report::Verdict;
use fixture::{kernel, lab, row};

fn made(inputs: &[Input]) -> Page {
    page(inputs).expect("one page")
}

#[test]
fn what_a_guest_says_is_text_and_never_markup() {
    let evil = "</title></style><script>alert(1)</script>\"'&<img src=x onerror=a>";
    let mut input = kernel(evil, &[row("mprotect", 512, &[(1, 512)])]);
    fixture::report(&mut input, |report| {
        report.kernel.banner = evil.to_owned();
        report.kernel.release = evil.to_owned();
        let row = &mut report.results[0];
        row.operation = evil.to_owned();
        row.sites[0].function = evil.to_owned();
        row.sites[0].kind = evil.to_owned();
        row.sites[0].chain = vec![evil.to_owned()];
        let mut skipped = row.clone();
        (skipped.status, skipped.pages) = (crate::report::measure::Status::Skipped, 1);
        skipped.detail = evil.to_owned();
        report.results.push(skipped);
    });
    let html = made(&[input, fixture::other_kernel(evil)]).html;
    for bad in ["<script", "<img", "onerror=a>", "\"'&<"] {
        assert!(!html.contains(bad), "{bad}");
    }
    for ours in ["</title>", "</style>"] {
        assert_eq!(html.matches(ours).count(), 1, "{ours}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn what_was_not_measured_is_a_gap_and_no_zero() {
    let mut old = row("uffd_move", 512, &[]);
    old.status = crate::report::measure::Status::Skipped;
    let new = row("uffd_move", 512, &[(1, 512)]);
    let alone = row("mprotect", 512, &[(31, 16), (16, 1)]);
    let html = made(&[kernel("old", &[old, alone]), kernel("new", &[new])]).html;
    let cell = |operation: &str, kernel: usize| {
        let from = format!("data-operation=\"{operation}\" data-pages=\"512\" data-depth=\"0\" ");
        let from = format!("{from}data-kernel=\"{kernel}\"");
        let at = html.find(&from).expect("a cell") + from.len();
        let cell = &html[at..];
        cell[..cell.find("</td>").expect("its end")].to_owned()
    };
    assert_eq!(cell("uffd_move", 0), ">skipped");
    assert_eq!(cell("uffd_move", 1), " data-traps=\"512\">512");
    assert_eq!(cell("mprotect", 1), ">no row");
    assert_eq!(cell("mprotect", 0), " data-traps=\"17\">17");
    // In the charts too: two marks, for the two that were measured.
    let marks = html
        .matches("data-pages=\"512\" data-depth=\"0\" data-traps=")
        .count();
    assert_eq!(marks, 2);
    assert!(!html.contains("data-traps=\"0\""));
}

#[test]
fn kernels_that_agree_share_a_mark_and_those_that_do_not_have_one_each() {
    let agreed = row("vmap", 500, &[(1, 500)]);
    let inputs = |a, b| {
        let rows = |row| [agreed.clone(), row];
        [kernel("a", &rows(a)), kernel("b", &rows(b))]
    };
    let (few, many) = (row("fork", 512, &[(31, 17)]), row("fork", 512, &[(1, 512)]));
    let html = made(&inputs(few, many)).html;
    assert_eq!(
        html.matches("class=\"fill-plain\" data-pages=\"500\"")
            .count(),
        1
    );
    for (kernel, traps) in [(0, 17), (1, 512)] {
        let mark = format!(
            "class=\"fill-k{kernel}\" data-pages=\"512\" data-depth=\"0\" data-traps=\"{traps}\""
        );
        assert_eq!(html.matches(&mark).count(), 1, "{mark}");
    }
}

#[test]
fn the_worst_regression_is_the_headline() {
    let rows = |mprotect, thread: u64| {
        [
            row("mprotect", 512, mprotect),
            row("thread", 0, &[(1, thread)]),
        ]
    };
    let good = kernel("6.12", &rows(&[(31, 16), (16, 1)], 1));
    let bad = kernel("7.2", &rows(&[(1, 512)], 40));
    let page = made(&[good.clone(), bad.clone()]);
    // 40 times 1 is the larger factor, but no batching is lost there.
    assert_eq!(
        page.headline,
        "mprotect 512 takes 512 traps on 7.2, 17 on 6.12"
    );
    let said = "Batching is lost: one update a trap, 31 before. 512 of the 512 from \
                change_pte_range. 2 of 2 rows";
    assert!(page.html.contains(said));
    let again = made(&[
        good.clone(),
        kernel("7.0", &rows(&[(31, 16), (16, 1)], 1)),
        bad.clone(),
    ]);
    let nearer = "mprotect 512 takes 512 traps on 7.2, 17 on 7.0";
    assert_eq!(again.headline, nearer);
    let back = made(&[bad, good]).headline;
    assert_eq!(back, "No operation traps more than on 7.2");
}

#[test]
fn noise_is_no_regression() {
    let spread = |min, median, max| {
        let mut row = row("exec", 0, &[(1, median)]);
        row.traps = crate::report::measure::Spread { min, median, max };
        row
    };
    let a = kernel("a", &[spread(500, 540, 560)]);
    let page = made(&[a, kernel("b", &[spread(555, 600, 700)])]);
    assert_eq!(page.headline, "No operation traps more than on a");
    assert!(
        page.html
            .contains("600<span class=\"range\"> (555–700)</span>")
    );
}

#[test]
fn one_kernel_says_what_could_be_won_and_the_lab_what_batching_saves() {
    let page = made(&[kernel("7.2", &[row("mprotect", 512, &[(1, 512)])])]);
    assert_eq!(
        page.headline,
        "mprotect 512 takes 512 traps on 7.2; 17 would do"
    );
    let full = made(&[kernel(
        "6.12",
        &[row("mprotect", 512, &[(31, 16), (16, 1)])],
    )]);
    assert_eq!(full.headline, "On 6.12 batching has nothing left to win");
    let page = made(&[lab()]);
    assert_eq!(
        page.headline,
        "mprotect takes 512 traps under eager, 17 under generic"
    );
    let cell = "data-workload=\"mprotect\" data-policy=\"generic\" data-traps=\"17\">17</td>";
    assert!(page.html.contains(cell));
}

#[test]
fn a_lab_row_that_stopped_shows_its_verdict() {
    let mut input = lab();
    fixture::lab_report(&mut input, |report| {
        let row = &mut report.results[1];
        (row.verdict, row.expected_traps, row.traps) = (Verdict::Bug, None, 3);
    });
    let html = made(&[input]).html;
    assert!(html.contains("data-policy=\"generic\" title=\"\">bug</td>"),);
}

#[test]
fn kernels_of_one_name_are_told_apart_by_their_files() {
    let rows = |n| [row("mprotect", 512, &[(1, n)])];
    let named = |file: &str, n| {
        let mut input = kernel("7.2", &rows(n));
        input.file = file.to_owned();
        input
    };
    let html = made(&[named("x/plain.json", 512), named("x/patched.json", 17)]).html;
    assert!(html.contains("data-kernel=\"0\" data-name=\"plain\""),);
    let html = made(&[named("x/a.json", 512), named("y/a.json", 17)]).html;
    assert!(html.contains("data-kernel=\"1\" data-name=\"y/a.json\""),);
}

#[test]
fn the_same_reports_make_the_same_page_and_nothing_is_fetched() {
    let inputs = [kernel("7.2", &[row("mprotect", 512, &[(1, 512)])]), lab()];
    let page = made(&inputs);
    assert_eq!(made(&inputs), page);
    for word in ["src=", "href=", "url(", "@import", "<link"] {
        assert!(!page.html.contains(word), "{word}");
    }
    assert!(page.html.contains("default-src 'none'"));
}

#[test]
fn the_largest_numbers_are_drawn() {
    let few = row("mprotect", u64::MAX, &[(31, 17)]);
    let mut many = row("mprotect", u64::MAX, &[(u64::MAX, u64::MAX), (1, u64::MAX)]);
    many.sites[0].traps = u64::MAX;
    many.sites_dropped = u64::MAX;
    let page = made(&[kernel("6.12", &[few]), kernel("7.2", &[many])]);
    assert!(page.html.contains("data-traps=\"18446744073709551615\""));
}
