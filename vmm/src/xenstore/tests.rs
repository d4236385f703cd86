//! The protocol as a guest speaks it, and as a hostile one does.

use super::*;
use hypercalls::xs_wire::*;
use zerocopy::{FromBytes, IntoBytes};

fn store() -> Xenstore {
    Xenstore::new(&Home {
        domid: 1,
        cpus: 2,
        mem_kib: 1024,
        console: (7, 2),
        store: (6, 1),
    })
}

fn message(kind: u32, tx_id: u32, payload: &str) -> Vec<u8> {
    let header = Header {
        kind,
        req_id: 9,
        tx_id,
        len: payload.len() as u32,
    };
    [header.as_bytes(), payload.as_bytes()].concat()
}

/// What is to be sent, as (type, payload) pairs.
fn sent(xs: &mut Xenstore) -> Vec<(u32, String)> {
    let mut bytes = xs.output().to_vec();
    xs.sent(bytes.len());
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let (header, rest) = Header::read_from_prefix(&bytes).expect("a header");
        let (payload, rest) = rest.split_at(header.len as usize);
        let text = String::from_utf8(payload.to_vec()).expect("text");
        messages.push((header.kind, text));
        bytes = rest.to_vec();
    }
    messages
}

fn ask_in(xs: &mut Xenstore, tx: u32, kind: u32, payload: &str) -> Vec<(u32, String)> {
    let request = message(kind, tx, payload);
    assert_eq!(xs.receive(&request), request.len());
    sent(xs)
}

fn ask(xs: &mut Xenstore, kind: u32, payload: &str) -> Vec<(u32, String)> {
    ask_in(xs, 0, kind, payload)
}

fn ok(kind: u32, payload: &str) -> Vec<(u32, String)> {
    vec![(kind, payload.to_owned())]
}

fn error(name: &str) -> Vec<(u32, String)> {
    ok(XS_ERROR, &format!("{name}\0"))
}

#[test]
fn what_the_domain_is_told_can_be_read_and_listed() {
    let xs = &mut store();
    assert_eq!(ask(xs, XS_READ, "domid\0"), ok(XS_READ, "1"));
    assert_eq!(ask(xs, XS_READ, "console/port\0"), ok(XS_READ, "2"));
    assert_eq!(ask(xs, XS_DIRECTORY, "cpu\0"), ok(XS_DIRECTORY, "0\x001\0"));
    assert_eq!(ask(xs, XS_DIRECTORY, "device\0"), ok(XS_DIRECTORY, ""));
    let top = ask(xs, XS_DIRECTORY, "/\0");
    assert_eq!(top, ok(XS_DIRECTORY, "local\0tool\0vm\0"));
    let path = ok(XS_GET_DOMAIN_PATH, "/local/domain/1\0");
    assert_eq!(ask(xs, XS_GET_DOMAIN_PATH, "1\0"), path);
    assert_eq!(ask(xs, XS_GET_PERMS, "data\0"), ok(XS_GET_PERMS, "n1\0"));
    assert_eq!(
        ask(xs, XS_IS_DOMAIN_INTRODUCED, "5\0"),
        ok(XS_IS_DOMAIN_INTRODUCED, "F\0")
    );
    let part = ask(xs, XS_DIRECTORY_PART, "cpu\x002\0");
    assert!(part[0].1.ends_with("\x001\0\0"), "{part:?}");
}

#[test]
fn own_nodes_can_be_written_and_removed_others_not() {
    let xs = &mut store();
    assert_eq!(ask(xs, XS_WRITE, "data/a/b\0value"), ok(XS_WRITE, "OK\0"));
    assert_eq!(
        ask(xs, XS_READ, "/local/domain/1/data/a/b\0"),
        ok(XS_READ, "value")
    );
    assert_eq!(ask(xs, XS_MKDIR, "data/c\0"), ok(XS_MKDIR, "OK\0"));
    assert_eq!(ask(xs, XS_DIRECTORY, "data\0"), ok(XS_DIRECTORY, "a\0c\0"));
    assert_eq!(ask(xs, XS_RM, "data/a\0"), ok(XS_RM, "OK\0"));
    assert_eq!(ask(xs, XS_READ, "data/a/b\0"), error("ENOENT"));
    assert_eq!(ask(xs, XS_RM, "data/a\0"), ok(XS_RM, "OK\0"));
    assert_eq!(ask(xs, XS_WRITE, "name\0x"), error("EACCES"));
    assert_eq!(ask(xs, XS_WRITE, "/tool/x\0x"), error("EACCES"));
    assert_eq!(ask(xs, XS_RM, "memory\0"), error("EACCES"));
    assert_eq!(
        ask(xs, XS_SET_PERMS, "data/c\0n1\0r0\0"),
        ok(XS_SET_PERMS, "OK\0")
    );
    assert_eq!(ask(xs, XS_SET_PERMS, "data/c\0n2\0"), error("EACCES"));
    assert_eq!(ask(xs, XS_SET_PERMS, "name\0b1\0"), error("EACCES"));
}

#[test]
fn watches_fire_at_once_and_at_each_change_below() {
    let xs = &mut store();
    let event = |path: &str| (XS_WATCH_EVENT, format!("{path}\0t\0"));
    let set = ask(xs, XS_WATCH, "data\0t\0");
    assert_eq!(set, [(XS_WATCH, "OK\0".to_owned()), event("data")]);
    assert_eq!(ask(xs, XS_WATCH, "data\0t\0"), error("EEXIST"));
    let written = ask(xs, XS_WRITE, "data/x\x001");
    assert_eq!(written, [(XS_WRITE, "OK\0".to_owned()), event("data/x")]);
    assert_eq!(ask(xs, XS_WRITE, "attr/x\x001").len(), 1);
    assert_eq!(ask(xs, XS_UNWATCH, "data\0t\0"), ok(XS_UNWATCH, "OK\0"));
    assert_eq!(ask(xs, XS_UNWATCH, "data\0t\0"), error("ENOENT"));
    ask(xs, XS_WATCH, "/local/domain/1/data/x\0t\0");
    assert_eq!(ask(xs, XS_RM, "data\0")[1], event("/local/domain/1/data/x"));
    ask(xs, XS_WATCH, "control/shutdown\0t\0");
    xs.set("/local/domain/1/control/shutdown", "poweroff");
    assert_eq!(sent(xs), [event("control/shutdown")]);
}

#[test]
fn a_transaction_is_kept_whole_or_not_at_all() {
    let xs = &mut store();
    ask(xs, XS_WATCH, "data\0t\0");
    let begin = |xs: &mut Xenstore| {
        let id = ask(xs, XS_TRANSACTION_START, "\0")[0].1.clone();
        id.trim_end_matches('\0').parse::<u32>().expect("a number")
    };
    let (first, second) = (begin(xs), begin(xs));
    ask_in(xs, first, XS_WRITE, "data/a\x001");
    ask_in(xs, second, XS_WRITE, "data/a\x002");
    assert_eq!(ask(xs, XS_READ, "data/a\0"), error("ENOENT"));
    assert_eq!(ask_in(xs, first, XS_READ, "data/a\0"), ok(XS_READ, "1"));
    let kept = ask_in(xs, first, XS_TRANSACTION_END, "T\0");
    assert_eq!(kept[1], (XS_WATCH_EVENT, "data/a\0t\0".to_owned()));
    assert_eq!(
        ask_in(xs, second, XS_TRANSACTION_END, "T\0"),
        error("EAGAIN")
    );
    assert_eq!(ask(xs, XS_READ, "data/a\0"), ok(XS_READ, "1"));
    assert_eq!(ask_in(xs, second, XS_READ, "data/a\0"), error("ENOENT"));
    let third = begin(xs);
    ask_in(xs, third, XS_RM, "data/a\0");
    assert_eq!(ask_in(xs, third, XS_TRANSACTION_END, "F\0").len(), 1);
    assert_eq!(ask(xs, XS_READ, "data/a\0"), ok(XS_READ, "1"));
}

#[test]
fn requests_may_come_byte_by_byte_and_answers_go_so() {
    let xs = &mut store();
    for byte in message(XS_READ, 0, "domid\0") {
        assert_eq!(xs.receive(&[byte]), 1);
    }
    // While the answer waits nothing more is taken.
    assert_eq!(xs.receive(&message(XS_READ, 0, "name\0")), 0);
    let mut answer = Vec::new();
    while let Some(&byte) = xs.output().first() {
        answer.push(byte);
        xs.sent(1);
    }
    assert_eq!(answer.len(), size_of::<Header>() + 1);
    assert_eq!(answer[4], 9);
    assert_eq!(ask(xs, XS_READ, "name\0"), ok(XS_READ, "guest"));
}

#[test]
fn two_requests_in_one_piece_are_taken_one_by_one() {
    let xs = &mut store();
    let both = [
        message(XS_READ, 0, "domid\0"),
        message(XS_READ, 0, "name\0"),
    ]
    .concat();
    let taken = xs.receive(&both);
    assert_eq!(sent(xs), ok(XS_READ, "1"));
    assert_eq!(xs.receive(&both[taken..]), both.len() - taken);
    assert_eq!(sent(xs), ok(XS_READ, "guest"));
}

#[test]
fn malformed_requests_are_refused_by_name() {
    let xs = &mut store();
    for (kind, payload, name) in [
        (XS_READ, "", "EINVAL"),
        (XS_READ, "a", "EINVAL"),
        (XS_READ, "a\0b\0", "EINVAL"),
        (XS_READ, "a//b\0", "EINVAL"),
        (XS_WATCH, "a\0", "EINVAL"),
        (XS_WATCH, "@releaseDomain\0t\0", "EACCES"),
        (XS_WRITE, "data/a", "EINVAL"),
        (XS_SET_PERMS, "data\0x1\0", "EINVAL"),
        (XS_TRANSACTION_END, "T\0", "ENOENT"),
        (XS_RM, "/\0", "EINVAL"),
        (XS_INTRODUCE, "1\0", "EACCES"),
        (XS_GET_DOMAIN_PATH, "x\0", "EINVAL"),
        (20, "", "ENOSYS"),
        (u32::MAX, "", "ENOSYS"),
    ] {
        assert_eq!(ask(xs, kind, payload), error(name), "{kind} {payload:?}");
    }
    assert_eq!(ask_in(xs, 77, XS_READ, "name\0"), error("ENOENT"));
}

#[test]
fn quotas_hold() {
    let xs = &mut store();
    let refused = (0..2000).find(|i| ask(xs, XS_MKDIR, &format!("data/{i}\0"))[0].0 == XS_ERROR);
    assert!(refused.is_some_and(|n| n < 1000));
    let big = format!("data/0\0{}", "x".repeat(3000));
    assert_eq!(ask(xs, XS_WRITE, &big), error("ENOSPC"));
    let watches = (0..200).find(|i| ask(xs, XS_WATCH, &format!("data\0{i}\0"))[0].0 == XS_ERROR);
    assert_eq!(watches, Some(128));
    let open = (0..20).find(|_| ask(xs, XS_TRANSACTION_START, "\0")[0].0 == XS_ERROR);
    assert_eq!(open, Some(10));
    assert_eq!(
        ask(xs, XS_RESET_WATCHES, "\0"),
        ok(XS_RESET_WATCHES, "OK\0")
    );
    assert_eq!(
        ask(xs, XS_TRANSACTION_START, "\0")[0].0,
        XS_TRANSACTION_START
    );
}

/// A guest that writes one node without end in a transaction must not make its changes grow, nor
/// one that changes many the events of the commit.
#[test]
fn what_a_transaction_changes_is_bounded() {
    let xs = &mut store();
    ask(xs, XS_TRANSACTION_START, "\0");
    for _ in 0..3000 {
        assert_eq!(ask_in(xs, 1, XS_WRITE, "data/a\0x"), ok(XS_WRITE, "OK\0"));
    }
    let name = |i: usize| format!("data/{}{i}\0", "n".repeat(1000));
    let refused = (0..2000).find(|&i| {
        ask_in(xs, 1, XS_MKDIR, &name(i));
        ask_in(xs, 1, XS_RM, &name(i))[0].0 == XS_ERROR
    });
    assert_eq!(
        refused,
        Some(511),
        "1024 changes, the first write among them"
    );
    for token in 0..128 {
        ask(xs, XS_WATCH, &format!("data\0{token}\0"));
    }
    let request = message(XS_TRANSACTION_END, 1, "T\0");
    assert_eq!(xs.receive(&request), request.len());
    let mut events = 0;
    while !xs.output().is_empty() {
        assert!(!xs.wants_bytes());
        assert!(
            xs.output().len() < 1 << 18,
            "{} bytes wait",
            xs.output().len()
        );
        events += sent(xs).len();
    }
    assert_eq!(events, 1 + 128 * 1024);
    assert!(xs.wants_bytes());
}

#[test]
fn a_directory_that_is_too_long_comes_in_parts() {
    let xs = &mut store();
    let name = |i: i32| format!("{}{i:03}", "n".repeat(50));
    for i in 0..200 {
        ask(xs, XS_MKDIR, &format!("data/{}\0", name(i)));
    }
    assert_eq!(ask(xs, XS_DIRECTORY, "data\0"), error("E2BIG"));
    let mut names = String::new();
    while !names.ends_with("\0\0") {
        let part = ask(xs, XS_DIRECTORY_PART, &format!("data\0{}\0", names.len()));
        assert!(part[0].1.len() <= PAYLOAD_MAX as usize);
        let (_, more) = part[0].1.split_once('\0').expect("a generation");
        names.push_str(more);
    }
    assert_eq!(names.split('\0').filter(|n| !n.is_empty()).count(), 200);
}

#[test]
fn a_length_beyond_the_protocol_ends_the_connection() {
    let xs = &mut store();
    let mut bad = message(XS_READ, 0, "");
    bad[12..16].copy_from_slice(&(PAYLOAD_MAX + 1).to_le_bytes());
    xs.receive(&bad);
    assert!(xs.is_broken() && !xs.wants_bytes());
    assert_eq!(xs.receive(b"more"), 0);
    assert!(xs.output().is_empty());
}
