//! Hostile guests on KVM: each does its worst for a moment. Whatever it does, it ends with a crash
//! and a dump, by the time limit, or by its own will; the hypervisor neither hangs nor panics nor
//! grows, and every page's references are right afterwards.

use hypercalls::console::CONSOLEIO_WRITE;
use hypercalls::event::*;
use hypercalls::mmu::*;
use hypercalls::sched::*;
use hypercalls::trap::{FLAT_KERNEL_CS, PF};
use hypercalls::vcpu::*;
use hypercalls::vm_assist::*;
use hypercalls::{DOMID_SELF, Nr, PAGE_SIZE};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tests::asm::{Asm, Reg::*};
use tests::chaos::{Act, Word, recounted, steps};
use tests::runner::{Check, Checked, PATIENCE, Skip, main as run};
use tests::tiny::{CODE, Tiny, crashed, data, data_frame, free_frame, put, table_frame, table_va};
use xenlet::domain::Domain;
use xenlet::kvm::{Ending, Outcome};

const SELF: u64 = DOMID_SELF as u64;
const NOWHERE: u64 = 0x40_0000;
const NOT_CANONICAL: u64 = 0x8000_0000_0000;
/// The hypervisor's slot: its entry page, and the page after it.
const ENTRY: u64 = 0xffff_8080_0000_0000;
/// How long a guest runs that does not end by itself.
const MOMENT: Duration = Duration::from_millis(700);
/// How late the time limit may be on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

/// A check's name and body.
type Row = (&'static str, fn() -> Checked);

fn main() -> ExitCode {
    let checks: &[Row] = &[
        ("powers_off", powers_off),
        ("spins", spins),
        ("spins_behind_an_int3", spins_behind_an_int3),
        ("faults_without_a_handler", faults_without_a_handler),
        ("jumps_to_garbage", jumps_to_garbage),
        ("rings_the_doorbell_itself", rings_the_doorbell_itself),
        (
            "touches_what_is_the_hypervisors",
            touches_what_is_the_hypervisors,
        ),
        ("faults_in_a_loop", faults_in_a_loop),
        ("has_a_handler_that_faults", has_a_handler_that_faults),
        ("has_no_stack_for_an_upcall", has_no_stack_for_an_upcall),
        ("has_no_callback", has_no_callback),
        ("returns_to_garbage", returns_to_garbage),
        ("floods_the_console", floods_the_console),
        ("storms_itself_with_events", storms_itself_with_events),
        ("asks_for_huge_counts", asks_for_huge_counts),
        ("asks_for_many_sizes", asks_for_many_sizes),
        ("copies_pages_without_end", copies_pages_without_end),
        ("maps_everything_writable", maps_everything_writable),
        ("writes_its_page_tables", writes_its_page_tables),
        ("takes_its_own_tables_away", takes_its_own_tables_away),
        (
            "executes_privileged_instructions",
            executes_privileged_instructions,
        ),
        ("single_steps", single_steps),
        ("starts_vcpus_with_garbage", starts_vcpus_with_garbage),
        ("flushes_the_other_vcpu", flushes_the_other_vcpu),
        ("calls_at_random/1_vcpu", || calls_at_random(1)),
        ("calls_at_random/2_vcpus", || calls_at_random(2)),
    ];
    run(checks
        .iter()
        .map(|&(name, check)| Check::new(name, check).within(PATIENCE + random_time()))
        .collect())
}

/// Runs it; the counts are right and the end comes in time.
#[track_caller]
fn ended(guest: Tiny, limit: Duration) -> Result<Outcome, Skip> {
    let start = Instant::now();
    let mut outcome = guest.limit(limit).run()?;
    let took = start.elapsed();
    assert!(
        took < limit + SLACK,
        "ended after {took:?}, the limit was {limit:?}"
    );
    if let Err(wrong) = recounted(&mut outcome.domain) {
        panic!("{:?}:\n{wrong}", outcome.ending);
    }
    Ok(outcome)
}

/// It must crash, for the reason given, with a dump.
#[track_caller]
fn must_crash(guest: Tiny, reason: &str) -> Checked {
    let outcome = ended(guest, Duration::from_secs(20))?;
    let dump = crashed(&outcome);
    assert!(
        dump.lines().next().is_some_and(|l| l.contains(reason)),
        "{reason:?}:\n{dump}"
    );
    Ok(())
}

/// It must still run when its time is over.
#[track_caller]
fn must_run_on(guest: Tiny) -> Result<Outcome, Skip> {
    let outcome = ended(guest, MOMENT)?;
    let over = matches!(outcome.ending, Ending::TimeLimit);
    assert!(over, "{:?}", outcome.ending);
    Ok(outcome)
}

#[track_caller]
fn must_power_off(guest: Tiny) -> Result<Outcome, Skip> {
    let outcome = ended(guest, Duration::from_secs(20))?;
    let off = matches!(outcome.ending, Ending::Shutdown(SHUTDOWN_POWEROFF));
    assert!(off, "{:?}", outcome.ending);
    Ok(outcome)
}

fn powers_off() -> Checked {
    must_power_off(Tiny::new(|a| {
        a.power_off();
    }))
    .map(drop)
}

fn spins() -> Checked {
    must_run_on(Tiny::new(|a| {
        a.spin();
    }))
    .map(drop)
}

/// After a kick the hypervisor looks whether an `int3` was just executed.
fn spins_behind_an_int3() -> Checked {
    let guest = Tiny::new(|a| {
        a.hypercall(
            Nr::VcpuOp,
            &[u64::from(VCPUOP_SET_PERIODIC_TIMER), 0, data(1)],
        );
        a.bytes(&[0xeb, 1, 0xcc]).spin();
    });
    must_run_on(guest.data(|dom| put(dom, data(1), &[MIN_PERIOD_NS]))).map(drop)
}

fn faults_without_a_handler() -> Checked {
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

fn jumps_to_garbage() -> Checked {
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
fn rings_the_doorbell_itself() -> Checked {
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
fn touches_what_is_the_hypervisors() -> Checked {
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

/// Handler code: back to where the frame says, nothing changed.
fn return_from_fault(a: &mut Asm, error_code: bool) {
    // pop %rcx; pop %r11; (add $8,%rsp); push $0; push %rcx; push %r11; push %rax
    a.bytes(&[0x59, 0x41, 0x5b]);
    if error_code {
        a.bytes(&[0x48, 0x83, 0xc4, 8]);
    }
    a.bytes(&[0x6a, 0, 0x51, 0x41, 0x53, 0x50])
        .mov(Rax, Nr::Iret as u64)
        .syscall();
}

/// Puts the trap table on data page 0: `vector` to `handler`.
fn one_handler(vector: u8, handler: u64) -> impl FnOnce(&Domain) {
    move |dom| {
        put(
            dom,
            data(0),
            &[u64::from(vector) | u64::from(FLAT_KERNEL_CS) << 16, handler],
        )
    }
}

fn faults_in_a_loop() -> Checked {
    // The handler comes first, at a known address.
    let handler = CODE + 5;
    let guest = Tiny::new(|a| {
        let start = a.label();
        a.jmp(start);
        return_from_fault(a, true);
        a.bind(start).hypercall(Nr::SetTrapTable, &[data(0)]);
        a.mov(Rax, NOWHERE).load(Rax, Rax, 0);
    });
    must_crash(
        guest.data(one_handler(PF, handler)),
        "times without progress",
    )
}

fn has_a_handler_that_faults() -> Checked {
    let with_handler_at = |handler| {
        let guest = Tiny::new(|a| {
            a.hypercall(Nr::SetTrapTable, &[data(0)]).mov(Rsp, data(40));
            a.mov(Rax, NOWHERE).load(Rax, Rax, 0).bytes(&[0x0f, 0x0b]);
        });
        guest.data(one_handler(PF, handler))
    };
    for handler in [NOWHERE, ENTRY + 0x2000, data(1)] {
        let outcome = ended(with_handler_at(handler), Duration::from_secs(20))?;
        crashed(&outcome);
    }
    Ok(())
}

/// Registers the event callback at `callback` and unmasks upcalls with an event pending.
fn upcall_at(a: &mut Asm, callback: u64, rsp: u64) {
    a.hypercall(Nr::SetCallbacks, &[callback, 0, 0]);
    a.hypercall(
        Nr::EventChannelOp,
        &[u64::from(EVTCHNOP_BIND_VIRQ), data(0)],
    );
    a.hypercall(
        Nr::EventChannelOp,
        &[u64::from(EVTCHNOP_UNMASK), data(0) + 8],
    );
    a.mov(Rsp, rsp).hypercall(Nr::SetTimerOp, &[1]);
    a.hypercall(Nr::SchedOp, &[u64::from(SCHEDOP_BLOCK)]).spin();
}

fn has_no_stack_for_an_upcall() -> Checked {
    for rsp in [
        0,
        8,
        NOWHERE,
        NOT_CANONICAL,
        u64::MAX,
        ENTRY + 0x1800,
        ENTRY + 0x3000,
    ] {
        let guest = Tiny::new(|a| upcall_at(a, data(1), rsp));
        must_crash(guest, "cannot be pushed")?;
    }
    // Onto a page table.
    let guest = Tiny::new(|a| {
        a.load(R15, Rsi, 88).bytes(&[0x49, 0x81, 0xc7, 0, 8, 0, 0]);
        a.hypercall(Nr::SetCallbacks, &[data(1), 0, 0]);
        a.hypercall(
            Nr::EventChannelOp,
            &[u64::from(EVTCHNOP_BIND_VIRQ), data(0)],
        );
        a.hypercall(
            Nr::EventChannelOp,
            &[u64::from(EVTCHNOP_UNMASK), data(0) + 8],
        );
        a.copy(Rsp, R15).hypercall(Nr::SetTimerOp, &[1]);
        a.hypercall(Nr::SchedOp, &[u64::from(SCHEDOP_BLOCK)]).spin();
    });
    must_crash(guest, "cannot be pushed")
}

fn has_no_callback() -> Checked {
    must_crash(
        Tiny::new(|a| upcall_at(a, 0, data(40))),
        "no event callback",
    )?;
    must_crash(
        Tiny::new(|a| upcall_at(a, NOWHERE, data(40))),
        "exception 14",
    )?;
    // Upcalls into the hypervisor's own entry page.
    ended(Tiny::new(|a| upcall_at(a, ENTRY, data(40))), MOMENT).map(drop)
}

fn returns_to_garbage() -> Checked {
    let frame = |rip: u64, cs: u64, rflags: u64, rsp: u64| {
        Tiny::new(|a| {
            a.mov(Rsp, data(1))
                .hypercall(Nr::Iret, &[])
                .bytes(&[0x0f, 0x0b]);
        })
        .data(move |dom| put(dom, data(1), &[0, 0, 0, 0, rip, cs, rflags, rsp, 0xe02b]))
    };
    must_crash(frame(NOWHERE, 0xe030, 0, 0), "exception 14")?;
    must_crash(frame(NOT_CANONICAL, 0xe030, 0, 0), "no failsafe callback")?;
    must_crash(frame(CODE, 0x33, 0, 0), "no user page table")?;
    for cs in [0xe030, 0, 0x10, 0x23, 0xffff] {
        for rflags in [0, u64::MAX, 1 << 8, 1 << 14, 1 << 17] {
            ended(frame(data(2), cs, rflags, u64::MAX), MOMENT)?;
        }
    }
    let unreadable = Tiny::new(|a| {
        a.mov(Rsp, NOT_CANONICAL).hypercall(Nr::Iret, &[]);
    });
    must_crash(unreadable, "no frame can be read")?;
    // A failsafe callback that returns to the same garbage, for ever.
    let again = Tiny::new(|a| {
        let go = a.label();
        let failsafe = a.label();
        a.mov(Rdi, data(9))
            .mov_label(Rsi, failsafe)
            .mov(Rdx, data(9));
        a.mov(Rax, Nr::SetCallbacks as u64).syscall().jmp(go);
        a.bind(failsafe)
            .bind(go)
            .mov(Rsp, data(1))
            .hypercall(Nr::Iret, &[]);
    });
    let garbage = [0, 0, 0, 0, NOT_CANONICAL, 0xe030, 0, data(40), 0xe02b];
    must_run_on(again.data(move |dom| put(dom, data(1), &garbage))).map(drop)
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .expect("has one");
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kib * 1024
}

#[track_caller]
fn grew_less_than(mib: u64, before: u64) {
    let grown = resident().saturating_sub(before) >> 20;
    assert!(grown < mib, "the hypervisor grew by {grown} MiB");
}

fn floods_the_console() -> Checked {
    let before = resident();
    let outcome = must_run_on(Tiny::new(|a| {
        let again = a.mark();
        a.hypercall(
            Nr::ConsoleIo,
            &[u64::from(CONSOLEIO_WRITE), 40 * PAGE_SIZE, data(0)],
        );
        a.jmp(again);
    }))?;
    assert!(outcome.domain.stats.calls_of(Nr::ConsoleIo) > 10);
    grew_less_than(64, before);
    Ok(())
}

fn storms_itself_with_events() -> Checked {
    let outcome = must_run_on(
        Tiny::new(|a| {
            let start = a.label();
            a.jmp(start);
            // The upcall's handler, at CODE + 5.
            return_from_fault(a, false);
            a.bind(start)
                .mov(Rsp, data(40))
                .hypercall(Nr::SetCallbacks, &[CODE + 5, 0, 0]);
            a.hypercall(Nr::EventChannelOp, &[u64::from(EVTCHNOP_BIND_IPI), data(1)]);
            a.hypercall(
                Nr::EventChannelOp,
                &[u64::from(EVTCHNOP_UNMASK), data(1) + 4],
            );
            let again = a.mark();
            a.hypercall(Nr::EventChannelOp, &[u64::from(EVTCHNOP_SEND), data(1) + 4]);
            a.hypercall(Nr::SchedOp, &[u64::from(SCHEDOP_BLOCK)])
                .jmp(again);
        })
        .data(|dom| put(dom, data(1), &[0])),
    )?;
    assert!(outcome.domain.stats.counters.upcalls > 100);
    // Every port there is, again and again, and a reset of all.
    let before = resident();
    must_run_on(Tiny::new(|a| {
        let again = a.mark();
        a.mov(Rbx, 5000);
        let bind = a.mark();
        a.hypercall(Nr::EventChannelOp, &[u64::from(EVTCHNOP_BIND_IPI), data(1)]);
        a.dec(Rbx).jnz(bind);
        a.hypercall(Nr::EventChannelOp, &[u64::from(EVTCHNOP_RESET), data(2)])
            .jmp(again);
    }))?;
    grew_less_than(16, before);
    Ok(())
}

fn asks_for_huge_counts() -> Checked {
    for nr in [Nr::MmuUpdate, Nr::MmuextOp, Nr::Multicall] {
        for count in [
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            u64::MAX,
            1 << 20,
            1 << 16,
        ] {
            for at in [data(0), 0, NOT_CANONICAL, ENTRY, u64::MAX, NOWHERE] {
                let guest = Tiny::new(|a| {
                    a.hypercall(nr, &[at, count, data(59), SELF]).power_off();
                });
                let outcome = ended(guest, Duration::from_secs(5))?;
                assert!(
                    !matches!(outcome.ending, Ending::Crash(_)),
                    "{:?}",
                    outcome.ending
                );
            }
        }
    }
    Ok(())
}

/// The counters keep a line a batch size: a guest must not choose how many.
fn asks_for_many_sizes() -> Checked {
    let outcome = must_run_on(Tiny::new(|a| {
        a.hypercall(Nr::Lab, &[u64::from(hypercalls::lab::LAB_BEGIN)])
            .mov(Rbx, 0x7fff_0000);
        let again = a.mark();
        a.mov(Rdi, NOWHERE)
            .copy(Rsi, Rbx)
            .mov(Rdx, 0)
            .mov(R10, SELF);
        a.mov(Rax, Nr::MmuUpdate as u64)
            .syscall()
            .dec(Rbx)
            .jmp(again);
    }))?;
    let stats = &outcome.domain.stats;
    assert!(stats.calls_of(Nr::MmuUpdate) > 1000);
    let sizes = stats.batch_sizes.len();
    assert!(sizes < 600, "{sizes} sizes on record");
    Ok(())
}

/// Copies over frames that were tables are shown to the CPU entry by entry.
fn copies_pages_without_end() -> Checked {
    const OPS: u64 = 4096;
    let guest = Tiny::new(|a| {
        a.hypercall(Nr::MmuextOp, &[data(1), 2, 0, SELF]);
        let again = a.mark();
        a.hypercall(Nr::MmuextOp, &[data(2), OPS, 0, SELF])
            .jmp(again);
    });
    let guest = guest.data(|dom| {
        let target = free_frame(dom, 0);
        let sources = [data_frame(dom, 50), data_frame(dom, 51)];
        put(dom, data(50), &[0x1111_1111_1111_1111; 512]);
        put(dom, data(51), &[0x3333_3333_3333_3333; 512]);
        let pin = u64::from(MMUEXT_PIN_L1_TABLE);
        put(
            dom,
            data(1),
            &[pin, target.0, 0, u64::from(MMUEXT_UNPIN_TABLE), target.0, 0],
        );
        for i in 0..OPS {
            let from = sources[i as usize % 2].0;
            put(
                dom,
                data(2) + 24 * i,
                &[u64::from(MMUEXT_COPY_PAGE), target.0, from],
            );
        }
    });
    must_run_on(guest).map(drop)
}

/// Every frame of the machine at one address, writable, then written.
fn maps_everything_writable() -> Checked {
    let va = data(58);
    let guest = Tiny::new(|a| {
        a.mov(Rbx, 0x67).mov(R14, 4000);
        let again = a.mark();
        let refused = a.label();
        a.mov(Rdi, va).copy(Rsi, Rbx).mov(Rdx, UVMF_INVLPG);
        a.mov(Rax, Nr::UpdateVaMapping as u64).syscall();
        // test %rax,%rax
        a.bytes(&[0x48, 0x85, 0xc0]).jnz(refused);
        // The page at its own address stays as it is: our code is one of them.
        a.mov(R8, va).load(R9, R8, 0).store(R9, R8, 0);
        a.bind(refused)
            .bytes(&[0x48, 0x81, 0xc3, 0, 0x10, 0, 0])
            .dec(R14)
            .jnz(again)
            .power_off();
    });
    let outcome = must_power_off(guest)?;
    let refused: u64 = outcome.domain.mm.refusals().map(|(_, n)| n).sum();
    assert!(refused > 20, "{refused}");
    Ok(())
}

fn writes_its_page_tables() -> Checked {
    // Without the assist: a page fault.
    let plain = Tiny::new(|a| {
        a.load(Rbx, Rsi, 88).load(Rax, Rbx, 0).store(Rax, Rbx, 0);
    });
    must_crash(plain, "exception 14 (error code 0x7")?;
    // With it, every entry of an L1 by itself, then as a map of the L4, writable: a page fault.
    let enable = [
        u64::from(VMASST_CMD_ENABLE),
        u64::from(VMASST_TYPE_WRITABLE_PAGETABLES),
    ];
    let assisted = |last: fn(&mut Asm)| {
        let guest = Tiny::new(move |a| {
            a.hypercall(Nr::VmAssist, &enable)
                .mov(R8, data(0))
                .load(Rbx, R8, 0)
                .mov(R14, 512);
            let again = a.mark();
            a.load(Rax, Rbx, 0)
                .store(Rax, Rbx, 0)
                .bytes(&[0x48, 0x83, 0xc3, 8]);
            a.dec(R14).jnz(again).load(Rbx, R8, 0).load(Rax, R8, 8);
            last(a);
            a.power_off();
        });
        guest.data(|dom| {
            // The last table is an L1: the one of the code.
            let l1 = dom.layout.tables.pages - 1;
            let l4 = table_frame(dom, 0).maddr().0 | 0x67;
            put(dom, data(0), &[table_va(dom, l1), l4]);
        })
    };
    let outcome = must_power_off(assisted(|_| {}))?;
    assert!(outcome.domain.stats.counters.emulated_writes >= 512);
    let writable = assisted(|a| {
        a.store(Rax, Rbx, 8 * 100);
    });
    must_crash(writable, "exception 14")?;
    // By parts: the low half writable first.
    let parts = assisted(|a| {
        a.bytes(&[0x89, 0x83, 0x20, 3, 0, 0, 0x66, 0x89, 0x83, 0x20, 3, 0, 0]);
    });
    ended(parts, MOMENT).map(drop)
}

fn takes_its_own_tables_away() -> Checked {
    let op = |cmd: u32, frame: fn(&Domain) -> u64| {
        let guest = Tiny::new(|a| {
            a.hypercall(Nr::MmuextOp, &[data(1), 1, 0, SELF])
                .power_off();
        });
        guest.data(move |dom| put(dom, data(1), &[u64::from(cmd), frame(dom), 0]))
    };
    let l4: fn(&Domain) -> u64 = |dom| table_frame(dom, 0).0;
    let empty: fn(&Domain) -> u64 = |dom| free_frame(dom, 0).0;
    must_power_off(op(MMUEXT_UNPIN_TABLE, l4))?;
    must_power_off(op(MMUEXT_NEW_USER_BASEPTR, l4))?;
    must_crash(op(MMUEXT_NEW_BASEPTR, empty), "exception 14")?;
    // Its own code's entry in the L1, L2, L3 and L4.
    for level in 0..4u64 {
        let guest = Tiny::new(|a| {
            a.hypercall(Nr::MmuUpdate, &[data(1), 1, 0, SELF])
                .power_off();
        });
        let guest = guest.data(move |dom| {
            // The builder's tables come as they are first needed: L4, L3, L2, L1s.
            let table = table_frame(dom, 3 - level);
            let va = hypercalls::Vaddr(CODE);
            let slot = va.slot(hypercalls::Level::ALL[level as usize]);
            put(dom, data(1), &[table.entry(slot).0, 0]);
        });
        must_crash(guest, "exception 14")?;
    }
    Ok(())
}

/// Each alone, then power off: emulated, refused or fatal, but never the hypervisor's end.
fn executes_privileged_instructions() -> Checked {
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

/// The trap flag, over hypercalls too; the handler goes on.
fn single_steps() -> Checked {
    let handler = CODE + 5;
    for (code, error) in [(&[][..], false), (&[0x8e, 0xd0][..], false)] {
        let guest = Tiny::new(|a| {
            let start = a.label();
            a.jmp(start);
            return_from_fault(a, error);
            a.bind(start)
                .hypercall(Nr::SetTrapTable, &[data(0)])
                .mov(Rsp, data(40));
            // pushf; orl $0x100,(%rsp); popf
            a.bytes(&[0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d])
                .mov(R14, 20);
            let again = a.mark();
            a.hypercall(Nr::XenVersion, &[0])
                .mov(Rax, 0x2b)
                .bytes(code)
                .syscall();
            a.dec(R14).jnz(again).power_off();
        });
        let outcome = ended(guest.data(one_handler(1, handler)), Duration::from_secs(10))?;
        let fine = matches!(outcome.ending, Ending::Shutdown(_) | Ending::Crash(_));
        assert!(fine, "{:?}", outcome.ending);
    }
    Ok(())
}

/// `vcpu_guest_context` from words at byte offsets; the rest is zero.
fn context(dom: &Domain, words: &[(usize, u64)]) {
    put(dom, data(4), &[0; 646]);
    for &(offset, word) in words {
        put(dom, data(4) + offset as u64, &[word]);
    }
}

fn starts_vcpus_with_garbage() -> Checked {
    use std::mem::offset_of;
    let rip = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rip);
    let rsp = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rsp);
    let flags = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rflags);
    let cr3 = offset_of!(VcpuGuestContext, ctrlreg) + 24;
    for at in [0, NOWHERE, data(2), ENTRY, ENTRY + 0x2000, CODE] {
        for table in 0..3u64 {
            let guest = Tiny::new(|a| {
                a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_INITIALISE), 1, data(4)]);
                a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_UP), 1, 0]);
                a.hypercall(Nr::SetTimerOp, &[1]).mov(Rbx, 300);
                let again = a.mark();
                a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_DOWN), 1, 0]);
                a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_UP), 1, 0]);
                a.hypercall(Nr::SchedOp, &[u64::from(SCHEDOP_YIELD)]);
                a.dec(Rbx).jnz(again).power_off();
            });
            let guest = guest.cpus(2).data(move |dom| {
                let root = [table_frame(dom, 0), table_frame(dom, 1), free_frame(dom, 0)];
                let cr3_value = root[table as usize].maddr().0;
                context(
                    dom,
                    &[
                        (rip, at),
                        (rsp, u64::MAX),
                        (flags, u64::MAX),
                        (cr3, cr3_value),
                    ],
                );
                put(dom, data(2), &[0xfeeb; 8]);
            });
            ended(guest, MOMENT)?;
        }
    }
    Ok(())
}

/// Two vCPUs that flush each other without end, pin and unpin the same frames.
fn flushes_the_other_vcpu() -> Checked {
    use std::mem::offset_of;
    let rip = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rip);
    let rsp = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rsp);
    let cr3 = offset_of!(VcpuGuestContext, ctrlreg) + 24;
    let mut second = 0;
    let guest = Tiny::new(|a| {
        let start = a.label();
        a.jmp(start);
        second = a.here();
        let again = a.mark();
        a.hypercall(Nr::MmuextOp, &[data(1), 4, 0, SELF]).jmp(again);
        a.bind(start)
            .hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_INITIALISE), 1, data(4)]);
        a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_UP), 1, 0])
            .jmp(again);
    });
    let guest = guest.cpus(2).data(move |dom| {
        let l4 = table_frame(dom, 0).maddr().0;
        context(dom, &[(rip, second), (rsp, data(40)), (cr3, l4)]);
        let frame = free_frame(dom, 0).0;
        let ops = [
            [u64::from(MMUEXT_TLB_FLUSH_ALL), 0, 0],
            [u64::from(MMUEXT_INVLPG_ALL), CODE, 0],
            [u64::from(MMUEXT_PIN_L1_TABLE), frame, 0],
            [u64::from(MMUEXT_UNPIN_TABLE), frame, 0],
        ];
        put(dom, data(1), ops.as_flattened());
    });
    let outcome = must_run_on(guest)?;
    assert!(outcome.domain.stats.calls_of(Nr::MmuextOp) > 20);
    Ok(())
}

/// Calls a guest of [`calls_at_random`] knows, and how many it makes.
const KNOWN: u64 = 128;
const CALLS: u64 = 3000;
/// Where they are: rax, rdi, rsi, rdx, r10, r8 and two words of nothing each.
const TABLE: u64 = data(8);

/// Requests of all kinds, valid and not, made in random order, again and again; on two vCPUs at
/// once. For `XENLET_HOSTILE_SECONDS` (default 4) each.
fn calls_at_random(cpus: usize) -> Checked {
    use std::mem::offset_of;
    let rip = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rip);
    let rsp = offset_of!(VcpuGuestContext, user_regs) + offset_of!(CpuUserRegs, rsp);
    let cr3 = offset_of!(VcpuGuestContext, ctrlreg) + 24;
    let start = Instant::now();
    let (mut runs, mut calls, mut crashes) = (0u64, 0, 0);
    while start.elapsed() < random_time() {
        runs += 1;
        let made = known_calls(runs);
        let mut second = 0;
        let guest = Tiny::new(|a| {
            if cpus > 1 {
                a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_INITIALISE), 1, data(4)]);
                a.hypercall(Nr::VcpuOp, &[u64::from(VCPUOP_UP), 1, 0]);
            }
            second = a.here();
            // rdtsc; shl $32,%rdx; lea 1(%rax,%rdx),%r15
            a.bytes(&[0x0f, 0x31, 0x48, 0xc1, 0xe2, 32, 0x4c, 0x8d, 0x7c, 0x10, 1]);
            call_at_random(a);
        });
        let guest = guest.cpus(cpus).data(move |dom| {
            let l4 = table_frame(dom, 0).maddr().0;
            context(dom, &[(rip, second), (rsp, data(41)), (cr3, l4)]);
            for (i, (_, act)) in made.iter().enumerate() {
                let group = i as u64 % KNOWN;
                for (page, index, words) in &made[i].0 {
                    let at = page_of(dom, group, *page) + 8 * u64::from(*index);
                    let words: Vec<u64> = words.iter().map(|&w| at_home(dom, group, w)).collect();
                    put(dom, at, &words);
                }
                let Act::Call(nr, args) = act else { continue };
                let args = args.map(|w| at_home(dom, group, w));
                put(dom, TABLE + 64 * group, &[&[*nr][..], &args].concat());
            }
        });
        let outcome = ended(guest, MOMENT)?;
        let counters = outcome.domain.stats.counters;
        calls += counters.hypercalls + counters.multicall_entries;
        crashes += u64::from(matches!(outcome.ending, Ending::Crash(_)));
    }
    println!(
        "random guests on {cpus} vCPU: {runs} runs, {calls} hypercalls, {crashes} crashes, 0 panics, \
         0 recount errors"
    );
    Ok(())
}

fn random_time() -> Duration {
    let seconds = std::env::var("XENLET_HOSTILE_SECONDS").ok();
    Duration::from_secs(seconds.map_or(4, |s| s.parse().expect("a number of seconds")))
}

/// Makes [`CALLS`] of the known calls, chosen by a generator in r15 (xorshift).
fn call_at_random(a: &mut Asm) {
    a.mov(Rbx, CALLS).mov(R14, TABLE).mov(Rsp, data(40));
    let again = a.mark();
    // x ^= x << 13; x ^= x >> 7; x ^= x << 17
    for shift in [[0xe0, 13], [0xe8, 7], [0xe0, 17]] {
        a.copy(Rax, R15)
            .bytes(&[0x48, 0xc1])
            .bytes(&shift)
            .bytes(&[0x49, 0x31, 0xc7]);
    }
    // r12 = the call: (x >> 20 & 127) * 64 + the table
    a.copy(R12, R15)
        .bytes(&[0x49, 0xc1, 0xec, 20, 0x41, 0x83, 0xe4, 127]);
    a.bytes(&[0x49, 0xc1, 0xe4, 6, 0x4d, 0x01, 0xf4]);
    for (i, reg) in [Rax, Rdi, Rsi, Rdx, R10, R8].into_iter().enumerate() {
        a.load(reg, R12, 8 * i as i32);
    }
    a.syscall().dec(Rbx).jnz(again).power_off();
}

type Made = (Vec<(u8, u16, Vec<Word>)>, Act);

/// As many calls as are known, from a seed; none that ends the run at once.
fn known_calls(seed: u64) -> Vec<Made> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut made = Vec::new();
    while (made.len() as u64) < KNOWN {
        let tree = steps(200)
            .new_tree(&mut runner)
            .expect("nothing is filtered");
        let ends = |act: &Act| match act {
            Act::Call(nr, _) => [Nr::SchedOp as u64, Nr::Iret as u64].contains(nr),
            _ => true,
        };
        let steps = tree.current().into_iter().filter(|step| !ends(&step.act));
        made.extend(steps.map(|step| (step.fills, step.act)));
    }
    made.truncate(KNOWN as usize);
    made
}

/// Eight pages of each call's own, for its arguments.
const PAGES: u64 = 7;

fn page_of(dom: &Domain, group: u64, page: u8) -> u64 {
    let first = tests::chaos::words::page_va(dom, 0).0;
    first + (group * PAGES + u64::from(page).min(PAGES - 1)) * PAGE_SIZE
}

/// A word's value, its argument pages those of `group`.
fn at_home(dom: &Domain, group: u64, word: Word) -> u64 {
    match word {
        Word::Page(page, offset) => page_of(dom, group, page) + u64::from(offset),
        other => other.value(dom),
    }
}
