//! Ways into the hypervisor that are no hypercall (XSA-259, 260, 265, 339, 444): faults, jumps and
//! stores to its pages.

use crate::judge::{
    ENTRY, MOMENT, NOT_CANONICAL, NOWHERE, ended, must_crash, must_power_off, must_run_on,
};
use hypercalls::vcpu::*;
use hypercalls::{Mfn, Nr, PAGE_SIZE};
use std::sync::{Arc, OnceLock};
use tests::asm::Reg::*;
use tests::runner::Checked;
use tests::tiny::{Tiny, data, put, table_frame};
use xenlet::domain::Domain;
use xenlet::kvm::Ending;

pub(crate) fn powers_off() -> Checked {
    must_power_off(Tiny::new(|a| {
        a.power_off();
    }))
    .map(drop)
}

pub(crate) fn spins() -> Checked {
    must_run_on(Tiny::new(|a| {
        a.spin();
    }))
    .map(drop)
}

/// After a kick the hypervisor looks whether an `int3` was just executed.
pub(crate) fn spins_behind_an_int3() -> Checked {
    let guest = Tiny::new(|a| {
        a.hypercall(
            Nr::VcpuOp,
            &[u64::from(VCPUOP_SET_PERIODIC_TIMER), 0, data(1)],
        );
        a.bytes(&[0xeb, 1, 0xcc]).spin();
    });
    must_run_on(guest.data(|dom| put(dom, data(1), &[MIN_PERIOD_NS]))).map(drop)
}

pub(crate) fn faults_without_a_handler() -> Checked {
    must_crash(
        Tiny::new(|a| {
            a.bytes(&[0x0f, 0x0b]);
        }),
        "exception 6",
    )?;
    must_crash(
        Tiny::new(|a| {
            a.mov(Rax, NOWHERE + 8).store(Rax, Rax, 0);
        }),
        "exception 14 (error code 0x6, cr2 0x400008)",
    )
}

pub(crate) fn jumps_to_garbage() -> Checked {
    let jump = |to| {
        Tiny::new(move |a| {
            a.mov(Rax, to).jmp_reg(Rax);
        })
    };
    must_crash(jump(NOWHERE), "exception 14")?;
    must_crash(jump(NOT_CANONICAL), "exception 13")?;
    must_crash(jump(ENTRY + 0x1000), "exception 14")?;
    must_crash(jump(ENTRY + 0x2000), "exception 14")?;
    // Random bytes: whatever they do, the run ends.
    for seed in 1..12u64 {
        let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let guest = Tiny::new(|a| {
            for _ in 0..500 {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                a.bytes(&x.to_le_bytes());
            }
        });
        ended(guest, MOMENT)?;
    }
    Ok(())
}

/// On some hosts the entry page is the guest's to execute, and the page that tells the hypervisor
/// is the guest's to write: it may claim to return anywhere.
pub(crate) fn rings_the_doorbell_itself() -> Checked {
    for ring in [ENTRY, ENTRY + 1, ENTRY + 2, ENTRY + 6, ENTRY + 0xfff] {
        for back in [NOT_CANONICAL, u64::MAX, ENTRY, NOWHERE] {
            let enters = Tiny::new(|a| {
                a.mov(Rcx, back)
                    .mov(R11, u64::MAX)
                    .mov(Rax, 17)
                    .mov(Rdi, 0)
                    .mov(Rbx, ring);
                a.jmp_reg(Rbx);
            });
            ended(enters, MOMENT)?;
            let stores = Tiny::new(|a| {
                a.mov(Rcx, back).mov(R11, u64::MAX).mov(Rax, 17).mov(Rdi, 0);
                a.mov(Rbx, ring + 0x1000).bytes(&[0x89, 0x03]).power_off();
            });
            ended(stores, MOMENT)?;
        }
    }
    Ok(())
}

/// Loads, stores of every width, string and locked instructions to the hypervisor's pages.
pub(crate) fn touches_what_is_the_hypervisors() -> Checked {
    let accesses: &[&[u8]] = &[
        &[0x48, 0x8b, 0x03],                            // mov (%rbx),%rax
        &[0x48, 0x89, 0x03],                            // mov %rax,(%rbx)
        &[0x88, 0x03],                                  // mov %al,(%rbx)
        &[0x0f, 0x11, 0x03],                            // movups %xmm0,(%rbx)
        &[0xf0, 0x48, 0x0f, 0xb1, 0x0b],                // lock cmpxchg %rcx,(%rbx)
        &[0xf0, 0x48, 0x0f, 0xc7, 0x0b],                // lock cmpxchg16b (%rbx)
        &[0x48, 0x89, 0xdf, 0x6a, 9, 0x59, 0xf3, 0xaa], // mov %rbx,%rdi; push 9; pop %rcx; rep stosb
        &[0x48, 0x89, 0xdc, 0x50],                      // mov %rbx,%rsp; push %rax
        &[0x48, 0x89, 0xdc, 0x58],                      // mov %rbx,%rsp; pop %rax
        &[0x0f, 0xae, 0x03],                            // fxsave (%rbx)
        &[0xdb, 0x3b],                                  // fstpt (%rbx)
        &[0xff, 0x13],                                  // call *(%rbx)
        &[0x0f, 0x01, 0x03],                            // sgdt (%rbx)
    ];
    let pages = [
        ENTRY,
        ENTRY + 0x1000,
        ENTRY + 0x1ffc,
        ENTRY + 0x2000,
        ENTRY + 0x3000,
    ];
    for access in accesses {
        for page in pages {
            let guest = Tiny::new(|a| {
                a.mov(Rbx, page).mov(Rax, 17).bytes(access).power_off();
            });
            ended(guest, MOMENT)?;
        }
    }
    Ok(())
}

/// The last words of frames that no guest writes: its L4, the hypervisor's descriptor tables and stubs.
fn last_words(dom: &Domain) -> [[u64; 8]; 3] {
    out_of_reach(dom).map(|frame| {
        let at = frame.maddr().add(PAGE_SIZE - 64);
        dom.memory.read_obj(at).expect("in memory")
    })
}

fn out_of_reach(dom: &Domain) -> [Mfn; 3] {
    [table_frame(dom, 0), Mfn(1), Mfn(2)]
}

/// `mov (watched),%ss` puts the breakpoint off past the next instruction, to where the CPU is at CPL0
/// and RSP, if that was SYSCALL, the guest's (XSA-260). RSP is where CPL0 can write: at the end of
/// those frames, by the physmap.
pub(crate) fn breaks_at_the_hypervisors_first_instruction() -> Checked {
    const PHYSMAP: u64 = ENTRY + (256 << 30);
    // Local, of 8 bytes, for loads and stores.
    const WATCH_0: u64 = 1 | 3 << 16 | 2 << 18;
    // syscall; int3; int $0x80; int1; ud2
    let enters: [&[u8]; 5] = [&[0x0f, 5], &[0xcc], &[0xcd, 0x80], &[0xf1], &[0x0f, 0x0b]];
    for (enter, victim) in enters
        .iter()
        .flat_map(|&enter| (0..3).map(move |n| (enter, n)))
    {
        let before = Arc::new(OnceLock::new());
        let known = Arc::clone(&before);
        let guest = Tiny::new(|a| {
            a.hypercall(Nr::SetDebugreg, &[0, data(1)])
                .hypercall(Nr::SetDebugreg, &[7, WATCH_0])
                .mov(R14, 20);
            let again = a.mark();
            a.mov(Rbx, data(1)).load(Rsp, Rbx, 8).mov(Rdi, 0);
            // mov (%rbx),%ss
            a.mov(Rax, Nr::XenVersion as u64).bytes(&[0x8e, 0x13]);
            a.bytes(enter).dec(R14).jnz(again).power_off();
        });
        let outcome = ended(
            guest.data(move |dom| {
                let rsp = PHYSMAP + out_of_reach(dom)[victim].maddr().0 + PAGE_SIZE;
                put(dom, data(1), &[0x2b, rsp]);
                let _ = known.set(last_words(dom));
            }),
            MOMENT,
        )?;
        assert_eq!(
            before.get(),
            Some(&last_words(&outcome.domain)),
            "{enter:x?}"
        );
        let fine = matches!(outcome.ending, Ending::Shutdown(_) | Ending::Crash(_));
        assert!(fine, "{enter:x?}: {:?}", outcome.ending);
    }
    Ok(())
}
