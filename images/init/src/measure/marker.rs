//! Telling the hypervisor: `cpuid` behind Xen's forced-emulation prefix (`hypercalls::measure`).
#![allow(unsafe_code, reason = "one instruction")]

use hypercalls::measure::{HELLO, LEAF, MAGIC, TEXT_MAX};
use std::arch::asm;
use std::fs;

/// A marker's registers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marker<'a> {
    pub(super) what: u32,
    pub(super) text: &'a str,
    pub(super) pages: u64,
    pub(super) depth: u64,
    pub(super) repetition: u64,
    pub(super) flags: u64,
}

/// Whether this is a Xen guest: elsewhere the prefix is an illegal instruction.
fn on_xen() -> bool {
    fs::read_to_string("/sys/hypervisor/type").is_ok_and(|kind| kind.trim() == "xen")
}

/// Introduces the runner; whether the hypervisor listens.
pub(super) fn hello(name: &str, version: u32) -> bool {
    let marker = Marker {
        what: HELLO,
        text: name,
        pages: version.into(),
        ..Marker::default()
    };
    on_xen() && marker.say()
}

impl Marker<'_> {
    /// Says it; whether it was taken. Only in a Xen guest.
    pub(super) fn say(&self) -> bool {
        let len = self.text.len().min(TEXT_MAX as usize);
        let answer: u32;
        // SAFETY: in a PV guest of Xen these bytes are `cpuid`, which changes rax to rdx only; rbx
        // is the compiler's and kept. The text is read by the hypervisor, by address and length.
        unsafe {
            asm!(
                "mov {kept}, rbx",
                "ud2",
                ".ascii \"xen\"",
                "cpuid",
                "mov rbx, {kept}",
                kept = out(reg) _,
                inlateout("eax") LEAF => answer,
                inlateout("ecx") self.what => _,
                inlateout("rdx") self.pages => _,
                in("rdi") self.text.as_ptr(),
                in("rsi") len as u64,
                in("r8") self.depth,
                in("r9") self.repetition,
                in("r10") self.flags,
                options(nostack, readonly),
            );
        }
        answer == MAGIC
    }
}
