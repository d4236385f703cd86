//! Third-party guests: by name → a kernel file in a cache.
//!
//! Owns the recipes (`images/*.toml`, one a guest) and the cache. Comes in: a recipe's name.
//! Goes out: where its kernel is and which version that is. Packages come from Debian by the
//! machine's own package client, which knows the mirrors and checks the hashes; nothing is
//! installed.

mod apt;
mod cache;
mod fetch;
mod interrupt;
mod job;
mod pattern;
mod recipe;

pub use cache::{Cache, CacheError, Fetched};
pub use fetch::{FetchError, fetch};
pub use recipe::{Package, Recipe, UnknownImage, find, recipes};
