//! The only code the hypervisor runs inside the guest's address space: a few instructions each,
//! as bytes, since some hosts emulate CPL0 one instruction at a time.

/// The port whose `out` of four bytes says: a hypercall arrived at CPL0.
pub(super) const HYPERCALL_PORT: u16 = 0xe0;
/// The port whose `out` of four bytes says: the list of stores is done.
pub(super) const STORES_DONE_PORT: u16 = 0xe1;

/// SYSCALL stayed at CPL3: store to the doorbell page, one page after this one. The hypervisor
/// sets rip; nothing follows. `mov %eax, 0xffa(%rip)`.
pub(super) const ENTRY_CPL3: [u8; 6] = [0x89, 0x05, 0xfa, 0x0f, 0x00, 0x00];

/// SYSCALL arrived at CPL0: `out %eax, $HYPERCALL_PORT; sysretq`.
pub(super) const ENTRY_CPL0: [u8; 5] = [0xe7, HYPERCALL_PORT as u8, 0x48, 0x0f, 0x07];

/// Stores ecx values: rsi points to (address, value) pairs.
/// `1: lodsq; mov %rax,%rdi; movsq; dec %ecx; jnz 1b; out %eax, $STORES_DONE_PORT`.
pub(super) const STORE: [u8; 13] = [
    0x48,
    0xad,
    0x48,
    0x89,
    0xc7,
    0x48,
    0xa5,
    0xff,
    0xc9,
    0x75,
    0xf5,
    0xe7,
    STORES_DONE_PORT as u8,
];

/// A vector's handler: `out %al, $vector`. The hypervisor sets rip; nothing follows.
#[must_use]
pub(super) const fn exception(vector: u8) -> [u8; 2] {
    [0xe6, vector]
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::{Code, Decoder, DecoderOptions, Instruction};

    fn decode(bytes: &[u8], ip: u64) -> Vec<Instruction> {
        Decoder::with_ip(64, bytes, ip, DecoderOptions::NONE)
            .into_iter()
            .collect()
    }

    #[test]
    fn the_doorbell_is_the_next_page() {
        let code = decode(&ENTRY_CPL3, 0x1000);
        assert_eq!(code.len(), 1);
        assert_eq!(code[0].code(), Code::Mov_rm32_r32);
        assert_eq!(code[0].ip_rel_memory_address(), 0x2000);
    }

    #[test]
    fn the_other_stubs_are_what_their_docs_say() {
        let codes = |bytes: &[u8]| {
            decode(bytes, 0)
                .iter()
                .map(Instruction::code)
                .collect::<Vec<_>>()
        };
        assert_eq!(codes(&ENTRY_CPL0), [Code::Out_imm8_EAX, Code::Sysretq]);
        assert_eq!(codes(&exception(14)), [Code::Out_imm8_AL]);
        assert_eq!(
            codes(&STORE),
            [
                Code::Lodsq_RAX_m64,
                Code::Mov_rm64_r64,
                Code::Movsq_m64_m64,
                Code::Dec_rm32,
                Code::Jne_rel8_64,
                Code::Out_imm8_EAX
            ]
        );
        assert_eq!(decode(&STORE, 0)[4].near_branch_target(), 0);
    }
}
