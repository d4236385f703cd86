//! A xenstore for one domain: the tree, its watches and transactions, behind the ring's protocol.
//!
//! Owns the nodes. Comes in: the guest's request bytes, in pieces of any size, hostile or not,
//! and the host's own writes. Goes out: response bytes, watch events among them. Nothing here
//! touches guest memory: `crate::domain` moves the bytes. The guest is an ordinary, unprivileged
//! domain: it may change what the host has given it and see what it may read.
//!
//! Bounded like Xen's own store: nodes, their sizes, watches and transactions. A request is not
//! looked at before the answer to the one before it has been taken, so a guest that never takes
//! answers makes nothing grow.

mod connection;
mod error;
mod home;
mod path;
mod perms;
mod request;
mod transaction;
mod tree;
mod watch;

#[cfg(test)]
mod tests;

pub use connection::Xenstore;
pub use home::Home;
