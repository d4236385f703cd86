//! The protocol's state machine: bytes in, messages, bytes out.

use super::home::Home;
use super::transaction::Transactions;
use super::tree::Tree;
use super::watch::{Change, Event, Watches};
use hypercalls::DomId;
use hypercalls::xs_wire::{Header, PAYLOAD_MAX, XS_ERROR, XS_WATCH_EVENT};
use std::collections::VecDeque;
use zerocopy::{FromBytes, IntoBytes};

const HEADER: usize = size_of::<Header>();
/// Waiting output, in bytes, from which on no further change's events are added to it.
const ENOUGH: usize = 1 << 16;

/// The store, and its one client's state.
#[derive(Debug)]
pub struct Xenstore {
    pub(super) domid: DomId,
    pub(super) home: String,
    pub(super) tree: Tree,
    pub(super) watches: Watches,
    pub(super) transactions: Transactions,
    /// What the request in the making changes.
    pub(super) changes: Vec<Change>,
    /// Changes whose events are still to be queued: a transaction may leave many, and each may
    /// concern every watch.
    due: VecDeque<Change>,
    /// The first event of a watch that was just set; it follows the answer.
    pub(super) first: Option<Event>,
    /// The request so far: header and payload.
    partial: Vec<u8>,
    out: VecDeque<u8>,
    broken: bool,
}

impl Xenstore {
    /// A store for one domain.
    #[must_use]
    pub fn new(home: &Home) -> Xenstore {
        Xenstore {
            domid: home.domid,
            home: home.path(),
            tree: home.tree(),
            watches: Watches::default(),
            transactions: Transactions::default(),
            changes: Vec::new(),
            due: VecDeque::new(),
            first: None,
            partial: Vec::new(),
            out: VecDeque::new(),
            broken: false,
        }
    }

    /// Takes request bytes, as many as it will: none while an answer waits to be taken.
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while self.wants_bytes() && taken < bytes.len() {
            let wanted = self.missing().min(bytes.len() - taken);
            self.partial
                .extend_from_slice(&bytes[taken..taken + wanted]);
            taken += wanted;
            if self.missing() == 0 && !self.broken {
                self.answer();
            }
        }
        taken
    }

    /// Whether request bytes would be taken.
    #[must_use]
    pub fn wants_bytes(&self) -> bool {
        self.out.is_empty() && !self.broken
    }

    /// The guest does not speak the protocol: there will be no more answers.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Response bytes to be sent.
    #[must_use]
    pub fn output(&mut self) -> &[u8] {
        self.out.make_contiguous()
    }

    /// So many of them were sent.
    pub fn sent(&mut self, bytes: usize) {
        self.out.drain(..bytes.min(self.out.len()));
        self.send_due();
    }

    /// The host writes a node; watches of the guest fire.
    pub fn set(&mut self, path: &str, value: &str) {
        // Only a store full to its quota refuses the host; then the guest has no use for it.
        if self.tree.write(path, value.as_bytes(), 0).is_ok() {
            self.changes.push(Change::Node(path.to_owned()));
            self.send_events();
        }
    }

    /// How many bytes the request still lacks: of its header, then of the payload that says.
    fn missing(&mut self) -> usize {
        let Ok((header, _)) = Header::read_from_prefix(&self.partial) else {
            return HEADER - self.partial.len();
        };
        if header.len > PAYLOAD_MAX {
            self.broken = true;
            return 0;
        }
        (HEADER + header.len as usize).saturating_sub(self.partial.len())
    }

    fn answer(&mut self) {
        let request = std::mem::take(&mut self.partial);
        let Ok((header, payload)) = Header::read_from_prefix(&request) else {
            return;
        };
        match self.request(&header, payload) {
            Ok(payload) => self.send(header, &payload),
            Err(error) => {
                let kind = XS_ERROR;
                let name = format!("{}\0", error.name());
                self.send(Header { kind, ..header }, name.as_bytes());
            }
        }
        self.send_events();
    }

    /// Queues an answer; its length is at most [`PAYLOAD_MAX`].
    fn send(&mut self, header: Header, payload: &[u8]) {
        let len = payload.len() as u32;
        self.out.extend(Header { len, ..header }.as_bytes());
        self.out.extend(payload);
    }

    /// Queues the events of what has changed.
    fn send_events(&mut self) {
        self.due.extend(self.changes.drain(..));
        if let Some(event) = self.first.take() {
            self.send_event(&event);
        }
        self.send_due();
    }

    /// Queues events, a change at a time, until enough is queued: none are due when nothing waits.
    fn send_due(&mut self) {
        while self.out.len() < ENOUGH
            && let Some(change) = self.due.pop_front()
        {
            for event in self.watches.events(&change) {
                self.send_event(&event);
            }
        }
    }

    fn send_event(&mut self, Event { path, token }: &Event) {
        let header = Header {
            kind: XS_WATCH_EVENT,
            ..Header::default()
        };
        self.send(header, format!("{path}\0{token}\0").as_bytes());
    }
}
