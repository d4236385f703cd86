//! The nodes: values and permissions by path. Cloning is cheap: transactions work on a clone.

use super::error::XsError;
use super::path::{is_within, parent};
use super::perms::{Access, Perms};
use hypercalls::DomId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most nodes there are.
const MAX_NODES: usize = 1000;
/// The largest value.
const MAX_VALUE: usize = 2048;

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) value: Vec<u8>,
    pub(super) perms: Perms,
    /// Changes whenever the node's children do.
    pub(super) generation: u64,
}

/// All nodes. Every node but the root has a parent that is there too.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<String, Arc<Node>>,
    generation: u64,
}

impl Tree {
    /// A root everybody may read.
    pub(super) fn new() -> Tree {
        let root = Node {
            value: Vec::new(),
            perms: Perms::owned(0, b'r'),
            generation: 0,
        };
        Tree {
            nodes: BTreeMap::from([("/".to_owned(), Arc::new(root))]),
            generation: 0,
        }
    }

    /// Changes with every change of the tree.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// A node, if it is there and `who` may.
    pub(super) fn get(&self, path: &str, who: DomId, access: Access) -> Result<&Node, XsError> {
        let node = self
            .nodes
            .get(path)
            .ok_or_else(|| self.missing(path, who))?;
        match node.perms.allow(who, access) {
            true => Ok(node),
            false => Err(XsError::Acces),
        }
    }

    /// Whoever may not read above does not learn that nothing is there.
    fn missing(&self, path: &str, who: DomId) -> XsError {
        let above = self.above(path);
        match above.is_some_and(|node| node.perms.allow(who, Access::Read)) {
            true => XsError::Noent,
            false => XsError::Acces,
        }
    }

    /// The nearest node above that is there.
    fn above(&self, path: &str) -> Option<&Node> {
        let mut at = parent(path)?;
        loop {
            match self.nodes.get(at) {
                Some(node) => return Some(node),
                None => at = parent(at)?,
            }
        }
    }

    /// The names right below a node.
    pub(super) fn children<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        let skip = if path == "/" { 1 } else { path.len() + 1 };
        let below = self
            .nodes
            .range(format!("{}/", path.trim_end_matches('/'))..);
        let below = below.take_while(move |(name, _)| is_within(name, path));
        below.filter_map(move |(name, _)| {
            name.get(skip..)
                .filter(|n| !n.is_empty() && !n.contains('/'))
        })
    }

    /// Writes a value; nodes that are missing above are made.
    pub(super) fn write(&mut self, path: &str, value: &[u8], who: DomId) -> Result<(), XsError> {
        if value.len() > MAX_VALUE {
            return Err(XsError::Nospc);
        }
        if self.nodes.contains_key(path) {
            self.get(path, who, Access::Write)?;
        } else {
            self.make(path, who)?;
        }
        self.generation += 1;
        if let Some(node) = self.nodes.get_mut(path) {
            Arc::make_mut(node).value = value.to_vec();
        }
        Ok(())
    }

    /// Makes a node without a value, unless it is there; whether it was made.
    pub(super) fn mkdir(&mut self, path: &str, who: DomId) -> Result<bool, XsError> {
        if self.nodes.contains_key(path) {
            return self.get(path, who, Access::Write).map(|_| false);
        }
        self.make(path, who).map(|()| true)
    }

    fn make(&mut self, path: &str, who: DomId) -> Result<(), XsError> {
        let above = self.above(path).ok_or(XsError::Inval)?;
        if !above.perms.allow(who, Access::Write) {
            return Err(XsError::Acces);
        }
        let perms = above.perms.inherited_by(who);
        let mut missing = vec![path];
        while let Some(above) = missing.last().and_then(|p| parent(p))
            && !self.nodes.contains_key(above)
        {
            missing.push(above);
        }
        if self.nodes.len() + missing.len() > MAX_NODES {
            return Err(XsError::Nospc);
        }
        for path in missing.into_iter().rev() {
            self.generation += 1;
            let node = Node {
                value: Vec::new(),
                perms: perms.clone(),
                generation: self.generation,
            };
            self.nodes.insert(path.to_owned(), Arc::new(node));
            self.touch_parent(path);
        }
        Ok(())
    }

    /// The children of the node above have changed.
    fn touch_parent(&mut self, path: &str) {
        let generation = self.generation;
        if let Some(node) = parent(path).and_then(|above| self.nodes.get_mut(above)) {
            Arc::make_mut(node).generation = generation;
        }
    }

    /// Removes a node and all below; one that is not there in a directory that is, is no error.
    pub(super) fn rm(&mut self, path: &str, who: DomId) -> Result<(), XsError> {
        if path == "/" {
            return Err(XsError::Inval);
        }
        if !self.nodes.contains_key(path) {
            let above = parent(path).is_some_and(|above| self.nodes.contains_key(above));
            return if above {
                Ok(())
            } else {
                Err(self.missing(path, who))
            };
        }
        self.get(path, who, Access::Write)?;
        self.nodes.retain(|name, _| !is_within(name, path));
        self.generation += 1;
        self.touch_parent(path);
        Ok(())
    }

    /// Changes a node's permissions.
    pub(super) fn set_perms(
        &mut self,
        path: &str,
        perms: Perms,
        who: DomId,
    ) -> Result<(), XsError> {
        let missing = self.missing(path, who);
        let node = self.nodes.get_mut(path).ok_or(missing)?;
        if !node.perms.is_owner(who) || !perms.is_owner(who) {
            return Err(XsError::Acces);
        }
        Arc::make_mut(node).perms = perms;
        self.generation += 1;
        Ok(())
    }
}
