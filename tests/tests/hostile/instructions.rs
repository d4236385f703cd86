//! Every privileged instruction, at CPL3, with garbage in its operands.

use crate::judge::{MOMENT, ended};
use tests::asm::Reg::*;
use tests::runner::Checked;
use tests::tiny::{Tiny, data};
use xenlet::kvm::Ending;

/// Each alone, then power off: emulated, refused or fatal, but never the hypervisor's end.
pub(crate) fn executes_privileged_instructions() -> Checked {
    let instructions: &[&[u8]] = &[
        &[0xf4],                   // hlt
        &[0xfa],                   // cli
        &[0xfb],                   // sti
        &[0x0f, 0x01, 0xc1],       // vmcall
        &[0x0f, 0x01, 0xd9],       // vmmcall
        &[0x0f, 0x01, 0xf8],       // swapgs
        &[0x0f, 0x01, 0xd1],       // xsetbv
        &[0x0f, 0x01, 0xd0],       // xgetbv
        &[0x0f, 0x01, 0x10],       // lgdt (%rax)
        &[0x0f, 0x01, 0x18],       // lidt (%rax)
        &[0x0f, 0x01, 0x38],       // invlpg (%rax)
        &[0x0f, 0x00, 0xd8],       // ltr %ax
        &[0x0f, 0x00, 0xd0],       // lldt %ax
        &[0x0f, 0x00, 0xc0],       // sldt %eax
        &[0x0f, 0x01, 0xe0],       // smsw %eax
        &[0x0f, 0x01, 0xf0],       // lmsw %ax
        &[0x0f, 0x06],             // clts
        &[0x0f, 0x08],             // invd
        &[0x0f, 0x09],             // wbinvd
        &[0x0f, 0x20, 0xc0],       // mov %cr0,%rax
        &[0x0f, 0x20, 0xd8],       // mov %cr3,%rax
        &[0x0f, 0x22, 0xc0],       // mov %rax,%cr0
        &[0x0f, 0x22, 0xd8],       // mov %rax,%cr3
        &[0x0f, 0x22, 0xe0],       // mov %rax,%cr4
        &[0x44, 0x0f, 0x22, 0xc0], // mov %rax,%cr8
        &[0x0f, 0x21, 0xf8],       // mov %dr7,%rax
        &[0x0f, 0x23, 0xf8],       // mov %rax,%dr7
        &[0x0f, 0x30],             // wrmsr
        &[0x0f, 0x32],             // rdmsr
        &[0x0f, 0x33],             // rdpmc
        &[0x0f, 0x31],             // rdtsc
        &[0x0f, 0xa2],             // cpuid
        &[0x0f, 0x0b, b'x', b'e', b'n', 0x0f, 0xa2],
        &[0x0f, 0x34],                   // sysenter
        &[0x0f, 0x35],                   // sysexit
        &[0x48, 0x0f, 0x07],             // sysretq
        &[0x48, 0xcf],                   // iretq
        &[0x0f, 0xaa],                   // rsm
        &[0xcc],                         // int3
        &[0xf1],                         // int1
        &[0xcd, 0x80],                   // int $0x80
        &[0xcd, 0x02],                   // int $2
        &[0xcd, 0x0e],                   // int $14
        &[0xe4, 0x60],                   // in $0x60,%al
        &[0xe6, 0xe0],                   // out %al,$0xe0: the hypervisor's own port
        &[0xe7, 0xe0],                   // out %eax,$0xe0
        &[0xe7, 0xe1],                   // out %eax,$0xe1
        &[0xe6, 0x0e],                   // out %al,$14
        &[0x6e],                         // outsb
        &[0xf3, 0x6d],                   // rep insl
        &[0x8e, 0xd8],                   // mov %eax,%ds
        &[0x8e, 0xd0],                   // mov %eax,%ss
        &[0x8e, 0xe8],                   // mov %eax,%gs
        &[0xf3, 0x48, 0x0f, 0xae, 0xd0], // wrfsbase %rax
        &[0x0f, 0x01, 0xca],             // clac
        &[0x0f, 0x01, 0xc8],             // monitor
        &[0x0f, 0x01, 0xc9],             // mwait
        &[0x0f, 0xc7, 0x30],             // vmptrld (%rax)
        &[0x0f, 0x01, 0xd8],             // vmrun
        &[0xc5, 0xfc, 0x77],             // vzeroupper
        &[0x0f, 0x38, 0x80, 0x00],       // invept (%rax),%eax
        &[0x48, 0xcb],                   // lretq
        &[0xdb, 0xe3],                   // fninit
        &[0x66, 0x90],                   // nop
    ];
    for code in instructions {
        for value in [0, u64::MAX, data(3), 0x10, 0x23, 0x33] {
            let guest = Tiny::new(|a| {
                a.mov(Rsp, data(40))
                    .mov(Rax, value)
                    .mov(Rdx, value)
                    .mov(Rcx, 0xc000_0080);
                a.bytes(code).power_off();
            });
            let outcome = ended(guest, MOMENT)?;
            let fine = matches!(outcome.ending, Ending::Shutdown(_) | Ending::Crash(_));
            assert!(fine, "{code:x?}: {:?}", outcome.ending);
        }
    }
    Ok(())
}
