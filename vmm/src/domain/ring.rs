//! One direction of a byte ring in a page of the guest's: a buffer, and two indices that run freely.
//!
//! The guest writes its index and the buffer at any moment; each is read once. What the indices
//! say is an allegation: more bytes than the buffer has is an error, not a length.

use crate::memory::{BadMaddr, Memory};
use hypercalls::Maddr;

/// The indices make no sense, or the page is not memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl From<BadMaddr> for Broken {
    fn from(_: BadMaddr) -> Broken {
        Broken
    }
}

/// Where a ring is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    pub(super) buffer: Maddr,
    /// Bytes of buffer, a power of two.
    pub(super) size: u32,
    /// Where the reader's index is.
    pub(super) cons: Maddr,
    /// Where the writer's index is.
    pub(super) prod: Maddr,
}

impl Ring {
    /// The bytes that wait; they stay until [`Ring::consume`].
    pub(super) fn waiting(&self, memory: &Memory) -> Result<Vec<u8>, Broken> {
        let (cons, used) = self.state(memory, self.cons)?;
        let mut bytes = vec![0; used as usize];
        let (head, tail) = bytes.split_at_mut(self.before_wrap(cons, used));
        memory.read(self.at(cons), head)?;
        memory.read(self.buffer, tail)?;
        Ok(bytes)
    }

    /// Takes so many of them out.
    pub(super) fn consume(&self, memory: &Memory, bytes: usize) -> Result<(), Broken> {
        let cons: u32 = memory.read_obj(self.cons)?;
        Ok(memory.write_obj(self.cons, &cons.wrapping_add(bytes as u32))?)
    }

    /// Puts in as many as there is room for; how many.
    pub(super) fn put(&self, memory: &Memory, bytes: &[u8]) -> Result<usize, Broken> {
        let (prod, used) = self.state(memory, self.prod)?;
        let room = (self.size - used) as usize;
        let bytes = &bytes[..bytes.len().min(room)];
        let len = bytes.len() as u32;
        let (head, tail) = bytes.split_at(self.before_wrap(prod, len));
        memory.write(self.at(prod), head)?;
        memory.write(self.buffer, tail)?;
        memory.write_obj(self.prod, &prod.wrapping_add(len))?;
        Ok(bytes.len())
    }

    /// One index, and how many bytes are in the ring.
    fn state(&self, memory: &Memory, index: Maddr) -> Result<(u32, u32), Broken> {
        let cons: u32 = memory.read_obj(self.cons)?;
        let prod: u32 = memory.read_obj(self.prod)?;
        let used = prod.wrapping_sub(cons);
        let index = if index == self.cons { cons } else { prod };
        (used <= self.size).then_some((index, used)).ok_or(Broken)
    }

    fn at(&self, index: u32) -> Maddr {
        self.buffer.add(u64::from(index % self.size))
    }

    /// How many of `len` bytes from `index` on come before the buffer's end.
    fn before_wrap(&self, index: u32, len: u32) -> usize {
        len.min(self.size - index % self.size) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> (Memory, Ring) {
        let ring = Ring {
            buffer: Maddr(0),
            size: 8,
            cons: Maddr(16),
            prod: Maddr(20),
        };
        (Memory::new(1).expect("small"), ring)
    }

    #[test]
    fn bytes_wrap_around_the_end() {
        let (memory, ring) = ring();
        for start in [0, 5, u32::MAX - 2] {
            memory
                .write_obj(Maddr(16), &[start, start])
                .expect("memory");
            assert_eq!(ring.put(&memory, b"abcdef"), Ok(6));
            assert_eq!(ring.put(&memory, b"ghijk"), Ok(2));
            assert_eq!(ring.put(&memory, b"x"), Ok(0));
            assert_eq!(ring.waiting(&memory).as_deref(), Ok(&b"abcdefgh"[..]));
            ring.consume(&memory, 3).expect("memory");
            assert_eq!(ring.waiting(&memory).as_deref(), Ok(&b"defgh"[..]));
        }
    }

    #[test]
    fn indices_that_make_no_sense_are_refused() {
        let (memory, ring) = ring();
        memory.write_obj(Maddr(16), &[0_u32, 9]).expect("memory");
        assert_eq!(ring.waiting(&memory), Err(Broken));
        assert_eq!(ring.put(&memory, b"x"), Err(Broken));
    }
}
