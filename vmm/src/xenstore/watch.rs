//! Watches: who is told of which changes.

use super::error::XsError;
use super::path::is_within;

/// The most watches there are.
const MAX_WATCHES: usize = 128;
/// The longest token.
const MAX_TOKEN: usize = 1024;

/// One watch.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Watch {
    /// What is watched, from the root.
    path: String,
    /// The path as the guest gave it.
    given: String,
    token: String,
}

/// An event to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// The node, named as the watch's path was.
    pub(super) path: String,
    pub(super) token: String,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A node was written, made, or its permissions changed.
    Node(String),
    /// A node is gone, and what was below.
    Gone(String),
}

/// All watches.
#[derive(Debug, Default)]
pub(super) struct Watches(Vec<Watch>);

impl Watches {
    /// Adds a watch; its first event is due at once.
    pub(super) fn add(&mut self, path: String, given: &str, token: &str) -> Result<Event, XsError> {
        if token.len() > MAX_TOKEN {
            return Err(XsError::Inval);
        }
        if self.0.iter().any(|w| w.path == path && w.token == token) {
            return Err(XsError::Exist);
        }
        if self.0.len() >= MAX_WATCHES {
            return Err(XsError::Nospc);
        }
        let (given, token) = (given.to_owned(), token.to_owned());
        let event = Event {
            path: given.clone(),
            token: token.clone(),
        };
        self.0.push(Watch { path, given, token });
        Ok(event)
    }

    pub(super) fn remove(&mut self, path: &str, token: &str) -> Result<(), XsError> {
        let at = self
            .0
            .iter()
            .position(|w| w.path == path && w.token == token);
        self.0.remove(at.ok_or(XsError::Noent)?);
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The events a change causes, in the order of the watches.
    pub(super) fn events(&self, change: &Change) -> Vec<Event> {
        self.0
            .iter()
            .filter_map(|watch| watch.event(change))
            .collect()
    }
}

impl Watch {
    fn event(&self, change: &Change) -> Option<Event> {
        let (Change::Node(path) | Change::Gone(path)) = change;
        let gone_with_it = matches!(change, Change::Gone(_)) && is_within(&self.path, path);
        let path = match () {
            () if is_within(path, &self.path) => path,
            () if gone_with_it => &self.path,
            () => return None,
        };
        // In the guest's words: what it gave, and what is below.
        let name = match path.get(self.path.len()..) {
            Some(rest) if self.path != "/" => format!("{}{rest}", self.given),
            _ => path.clone(),
        };
        Some(Event {
            path: name,
            token: self.token.clone(),
        })
    }
}
