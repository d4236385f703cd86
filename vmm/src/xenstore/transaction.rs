//! Transactions: a copy of the tree to work on, kept only if nobody changed the tree meanwhile.

use super::error::XsError;
use super::tree::Tree;
use super::watch::Change;
use std::collections::BTreeMap;

/// The most transactions at a time.
pub(super) const MAX_TRANSACTIONS: usize = 10;
/// The most changes in one.
pub(super) const MAX_CHANGES: usize = 1024;

/// One transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    /// What it sees and changes.
    pub(super) tree: Tree,
    /// What to tell watches of once it is kept; each once.
    changes: Vec<Change>,
    /// The tree's generation when it began.
    began: u64,
}

impl Transaction {
    /// Whether one more change can be noted.
    pub(super) fn room(&self) -> Result<(), XsError> {
        match self.changes.len() < MAX_CHANGES {
            true => Ok(()),
            false => Err(XsError::Nospc),
        }
    }

    /// Notes a change for the watches, unless it is noted.
    pub(super) fn note(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }
}

/// Those that are open.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    open: BTreeMap<u32, Transaction>,
    last: u32,
}

impl Transactions {
    /// Begins one; its number, never 0.
    pub(super) fn start(&mut self, tree: &Tree) -> Result<u32, XsError> {
        if self.open.len() >= MAX_TRANSACTIONS {
            return Err(XsError::Nospc);
        }
        let mut id = self.last;
        loop {
            id = id.wrapping_add(1);
            if id != 0 && !self.open.contains_key(&id) {
                break;
            }
        }
        self.last = id;
        let began = tree.generation();
        let transaction = Transaction {
            tree: tree.clone(),
            changes: Vec::new(),
            began,
        };
        self.open.insert(id, transaction);
        Ok(id)
    }

    pub(super) fn get(&mut self, id: u32) -> Result<&mut Transaction, XsError> {
        self.open.get_mut(&id).ok_or(XsError::Noent)
    }

    /// Ends one; if it is to be kept, `tree` becomes what it made of it. What changed.
    pub(super) fn end(
        &mut self,
        id: u32,
        keep: bool,
        tree: &mut Tree,
    ) -> Result<Vec<Change>, XsError> {
        let transaction = self.open.remove(&id).ok_or(XsError::Noent)?;
        if !keep || transaction.changes.is_empty() {
            return Ok(Vec::new());
        }
        if tree.generation() != transaction.began {
            return Err(XsError::Again);
        }
        *tree = transaction.tree;
        Ok(transaction.changes)
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}
