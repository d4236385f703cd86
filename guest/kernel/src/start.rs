//! The ELF notes that make this a PV kernel, and its first instructions.
#![allow(unsafe_code, reason = "the entry point is assembly")]

use core::arch::global_asm;

/// Bytes of the boot stack; the builder's own is one page.
const BOOT_STACK: usize = 256 << 10;

// A note: name size, descriptor size, type, name, descriptor, each padded to 4 bytes.
global_asm!(
    r#"
    .macro note_text type text
        .long 4, 2f - 1f, \type
        .asciz "Xen"
    1:  .asciz "\text"
    2:  .balign 4
    .endm
    .macro note_quad type value
        .long 4, 8, \type
        .asciz "Xen"
        .quad \value
    .endm

    .pushsection .note.Xen, "a", @note
        note_text {GUEST_OS} "xenlet-lab"
        note_text {GUEST_VERSION} "1"
        note_text {LOADER} "generic"
        note_text {XEN_VERSION} "xen-3.0"
        note_text {FEATURES} "!writable_page_tables|pae_pgdir_above_4gb"
        note_quad {VIRT_BASE} 0xffffffff80000000
        note_quad {PADDR_OFFSET} 0
        note_quad {ENTRY} _start
    .popsection

    .pushsection .text.start, "ax", @progbits
    .globl _start
    _start:
        cld
        lea boot_stack_top(%rip), %rsp
        xor %ebp, %ebp
        mov %rsi, %rdi
        call {boot}
        ud2
    .popsection

    .pushsection .bss
        .balign 4096
        .skip {BOOT_STACK}
    boot_stack_top:
    .popsection
    "#,
    GUEST_OS = const hypercalls::elfnote::GUEST_OS,
    GUEST_VERSION = const hypercalls::elfnote::GUEST_VERSION,
    LOADER = const hypercalls::elfnote::LOADER,
    XEN_VERSION = const hypercalls::elfnote::XEN_VERSION,
    FEATURES = const hypercalls::elfnote::FEATURES,
    VIRT_BASE = const hypercalls::elfnote::VIRT_BASE,
    PADDR_OFFSET = const hypercalls::elfnote::PADDR_OFFSET,
    ENTRY = const hypercalls::elfnote::ENTRY,
    BOOT_STACK = const BOOT_STACK,
    boot = sym crate::boot::boot,
    options(att_syntax)
);
