//! From a trap of the guest's kernel to its callers: the stack, read once, and ORC.
//!
//! The cost is bounded: so many frames, so much stack. What the stack says is a guest's word: a
//! wrong one gives a wrong name in a report.

use super::orc::{Base, Entry, Orc, Scratch};
use crate::attribution::Chain;
use crate::domain::Regs;
use crate::mm::GuestView;
use hypercalls::{PAGE_SIZE, Vaddr};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// Words of the stack read at once; what is further up is read word by word.
const WINDOW: usize = 256;
/// What follows `syscall` in a hypercall's stub: `pop %r11; pop %rcx`, and the return.
const STUB: [u8; 3] = [0x41, 0x5b, 0x59];

/// Finds call sites.
#[derive(Clone, Debug)]
pub struct Unwinder {
    orc: Arc<Orc>,
    /// The last stub seen: there are few, and one is enough for long.
    stub: Option<u64>,
}

/// Where a walk has come to.
#[derive(Clone, Copy)]
struct Frame {
    ip: u64,
    sp: u64,
    bp: u64,
    innermost: bool,
}

/// A part of a stack.
struct Stack<'a> {
    view: &'a GuestView<'a>,
    at: u64,
    words: [u64; WINDOW],
    read: usize,
}

impl<'a> Stack<'a> {
    fn new(view: &'a GuestView<'a>, sp: u64) -> Stack<'a> {
        let mut words = [0; WINDOW];
        // To the page's end first: the next page may not be there.
        let here = (((PAGE_SIZE - Vaddr(sp).offset()) / 8) as usize).min(WINDOW);
        let (first, rest) = words.split_at_mut(here);
        let mut read = 0;
        if view.copy_in(Vaddr(sp), first.as_mut_bytes()).is_ok() {
            read = here;
            let next = Vaddr(sp).add(8 * here as u64);
            if view.copy_in(next, rest.as_mut_bytes()).is_ok() {
                read = WINDOW;
            }
        }
        Stack {
            view,
            at: sp,
            words,
            read,
        }
    }

    fn word(&self, at: u64) -> Option<u64> {
        let offset = at.wrapping_sub(self.at);
        match offset.is_multiple_of(8) && offset / 8 < self.read as u64 {
            true => self.words.get((offset / 8) as usize).copied(),
            false => self.view.read_obj(Vaddr(at)).ok(),
        }
    }
}

impl Unwinder {
    /// One for a kernel with these tables.
    #[must_use]
    pub fn new(orc: Orc) -> Unwinder {
        Unwinder {
            orc: Arc::new(orc),
            stub: None,
        }
    }

    /// The chain from a kernel that stands at `regs`: instruction addresses, the innermost first,
    /// the hypercall's stub left out.
    pub(crate) fn chain(&mut self, view: &GuestView<'_>, regs: &Regs) -> Chain {
        let stack = Stack::new(view, regs.rsp);
        let mut chain = Chain::new();
        let mut frame = Some(self.first(view, &stack, regs));
        while let Some(now) = frame
            && chain.try_push(now.ip).is_ok()
        {
            frame = self.caller(&stack, regs, now);
        }
        chain
    }

    /// The frame that called the stub; where there is no stub, where the guest stands.
    fn first(&mut self, view: &GuestView<'_>, stack: &Stack<'_>, regs: &Regs) -> Frame {
        let here = Frame {
            ip: regs.rip,
            sp: regs.rsp,
            bp: regs.rbp,
            innermost: true,
        };
        if !self.is_stub(view, regs.rip) {
            return here;
        }
        match stack.word(regs.rsp.wrapping_add(16)) {
            Some(ip) => Frame {
                ip,
                sp: regs.rsp.wrapping_add(24),
                innermost: false,
                ..here
            },
            None => here,
        }
    }

    fn is_stub(&mut self, view: &GuestView<'_>, rip: u64) -> bool {
        if self.stub == Some(rip) {
            return true;
        }
        let found = view.read_obj::<[u8; 3]>(Vaddr(rip)) == Ok(STUB);
        if found {
            self.stub = Some(rip);
        }
        found
    }

    fn caller(&self, stack: &Stack<'_>, regs: &Regs, frame: Frame) -> Option<Frame> {
        // A return address belongs to the call before it.
        let at = frame.ip.wrapping_sub(u64::from(!frame.innermost));
        let entry = self.orc.entry(at)?;
        let sp = previous_sp(stack, regs, frame, &entry)?;
        if !entry.call || sp <= frame.sp {
            return None;
        }
        Some(Frame {
            ip: stack.word(sp.wrapping_sub(8))?,
            sp,
            bp: previous_bp(stack, frame, &entry, sp)?,
            innermost: false,
        })
    }
}

/// The stack pointer before the call.
fn previous_sp(stack: &Stack<'_>, regs: &Regs, frame: Frame, entry: &Entry) -> Option<u64> {
    let offset = i64::from(entry.sp_offset);
    let scratch = |register| match register {
        Scratch::Dx => regs.rdx,
        Scratch::Di => regs.rdi,
        Scratch::R10 => regs.r10,
        Scratch::R13 => regs.r13,
    };
    match entry.sp_base {
        Base::Sp => Some(frame.sp.wrapping_add_signed(offset)),
        Base::Bp => Some(frame.bp.wrapping_add_signed(offset)),
        Base::AtBp => stack.word(frame.bp.wrapping_add_signed(offset)),
        Base::AtSp => Some(stack.word(frame.sp)?.wrapping_add_signed(offset)),
        Base::Scratch(number) if frame.innermost => {
            Some(scratch(number).wrapping_add_signed(offset))
        }
        _ => None,
    }
}

fn previous_bp(stack: &Stack<'_>, frame: Frame, entry: &Entry, sp: u64) -> Option<u64> {
    let offset = i64::from(entry.bp_offset);
    match entry.bp_base {
        Base::PreviousSp => stack.word(sp.wrapping_add_signed(offset)),
        Base::Bp => stack.word(frame.bp.wrapping_add_signed(offset)),
        _ => Some(frame.bp),
    }
}
