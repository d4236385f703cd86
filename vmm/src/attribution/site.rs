//! The table of call sites: each chain of return addresses once, under a number.

use arrayvec::ArrayVec;
use std::collections::HashMap;

/// Return addresses kept of a chain.
pub const FRAMES: usize = 12;
/// Chains kept; a guest that has more has them counted as dropped.
pub const MAX_SITES: usize = 8192;

/// Where a trap came from: instruction addresses, the innermost first.
pub type Chain = ArrayVec<u64, FRAMES>;

/// A chain's number in [`Sites`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(u32);

/// All chains seen.
#[derive(Clone, Debug, Default)]
pub struct Sites {
    numbers: HashMap<Chain, SiteId>,
    chains: Vec<Chain>,
}

impl Sites {
    /// The chain's number; `None` if it is new and there is no more room.
    pub(super) fn intern(&mut self, chain: Chain) -> Option<SiteId> {
        if let Some(&id) = self.numbers.get(&chain) {
            return Some(id);
        }
        if self.chains.len() >= MAX_SITES {
            return None;
        }
        let id = SiteId(self.chains.len() as u32);
        self.chains.push(chain.clone());
        self.numbers.insert(chain, id);
        Some(id)
    }

    /// A number's chain.
    #[must_use]
    pub fn chain(&self, SiteId(number): SiteId) -> &[u64] {
        self.chains.get(number as usize).map_or(&[], |c| c)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chains.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chains.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_fill_memory_with_sites() {
        let mut sites = Sites::default();
        let chain = |n: u64| Chain::from_iter([n, 1]);
        let first = sites.intern(chain(0));
        for n in 0..MAX_SITES as u64 + 10 {
            let id = sites.intern(chain(n));
            assert_eq!(id.is_some(), n < MAX_SITES as u64);
        }
        assert_eq!(sites.len(), MAX_SITES);
        assert_eq!(sites.intern(chain(0)), first);
        assert_eq!(first.map(|id| sites.chain(id)), Some(&[0, 1][..]));
    }
}
