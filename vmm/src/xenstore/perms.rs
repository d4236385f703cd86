//! A node's permissions: its owner, what everybody may, and what single domains may.

use super::error::XsError;
use hypercalls::DomId;

/// The most entries a node has.
const MAX: usize = 8;
/// The domain that may everything.
const CONTROL: DomId = 0;

/// What a domain wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// One entry: `n`, `r`, `w` or `b` and a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    letter: u8,
    domain: DomId,
}

/// The entries; the first is the owner's, and its letter everybody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Perms(Vec<Entry>);

impl Perms {
    /// Owned by `owner`; others may what `letter` says.
    pub(super) fn owned(owner: DomId, letter: u8) -> Perms {
        let domain = owner;
        Perms(vec![Entry { letter, domain }])
    }

    /// The same, and `domain` may what `letter` says.
    pub(super) fn and(mut self, domain: DomId, letter: u8) -> Perms {
        self.0.push(Entry { letter, domain });
        self
    }

    /// These, owned by another: what a node created below inherits.
    pub(super) fn inherited_by(&self, owner: DomId) -> Perms {
        let mut perms = self.clone();
        if owner != CONTROL
            && let Some(first) = perms.0.first_mut()
        {
            first.domain = owner;
        }
        perms
    }

    pub(super) fn allow(&self, domain: DomId, access: Access) -> bool {
        let Some(owner) = self.0.first() else {
            return false;
        };
        if domain == CONTROL || domain == owner.domain {
            return true;
        }
        let own = self.0.iter().skip(1).find(|e| e.domain == domain);
        let letter = own.unwrap_or(owner).letter;
        letter == b'b'
            || letter
                == match access {
                    Access::Read => b'r',
                    Access::Write => b'w',
                }
    }

    pub(super) fn is_owner(&self, domain: DomId) -> bool {
        domain == CONTROL || self.0.first().is_some_and(|e| e.domain == domain)
    }

    /// As the protocol writes them: one text each.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let texts = self
            .0
            .iter()
            .map(|e| format!("{}{}\0", char::from(e.letter), e.domain));
        texts.collect::<String>().into_bytes()
    }

    /// From texts.
    pub(super) fn parse<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Perms, XsError> {
        let entries: Option<Vec<Entry>> = texts.map(entry).collect();
        let entries = entries.ok_or(XsError::Inval)?;
        match entries.len() {
            0 => Err(XsError::Inval),
            1..=MAX => Ok(Perms(entries)),
            _ => Err(XsError::Nospc),
        }
    }
}

fn entry(text: &str) -> Option<Entry> {
    let (letter, number) = text.split_at_checked(1)?;
    let letter = *letter.as_bytes().first()?;
    let domain = number.parse().ok()?;
    b"nrwb"
        .contains(&letter)
        .then_some(Entry { letter, domain })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_may_all_others_what_the_letters_say() {
        let perms = Perms::parse(["n0", "r1", "b2"].into_iter()).expect("perms");
        assert!(perms.allow(0, Access::Write));
        assert!(perms.allow(1, Access::Read) && !perms.allow(1, Access::Write));
        assert!(perms.allow(2, Access::Read) && perms.allow(2, Access::Write));
        assert!(!perms.allow(3, Access::Read));
        assert_eq!(perms.to_bytes(), b"n0\0r1\0b2\0");
        assert!(perms.inherited_by(1).is_owner(1));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "r", "x1", "r-1", "r65536", "é1"] {
            assert_eq!(
                Perms::parse([bad].into_iter()),
                Err(XsError::Inval),
                "{bad:?}"
            );
        }
        assert_eq!(Perms::parse([].into_iter()), Err(XsError::Inval));
        assert_eq!(Perms::parse(["n1"; 9].into_iter()), Err(XsError::Nospc));
    }
}
