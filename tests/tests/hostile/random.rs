//! Random calls, valid and not, from guests on one and two vCPUs.

use crate::judge::{MOMENT, ended};
use hypercalls::vcpu::*;
use hypercalls::{Nr, PAGE_SIZE};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::time::{Duration, Instant};
use tests::asm::{Asm, Reg::*};
use tests::chaos::{Act, Word, steps};
use tests::runner::Checked;
use tests::tiny::{Tiny, context, data, put, table_frame};
use xenlet::domain::Domain;
use xenlet::kvm::Ending;

/// Calls a guest of [`calls_at_random`] knows, and how many it makes.
const KNOWN: u64 = 128;

const CALLS: u64 = 3000;

/// Where they are: rax, rdi, rsi, rdx, r10, r8 and two words of nothing each.
const TABLE: u64 = data(8);

pub(crate) fn calls_at_random_on_one_vcpu() -> Checked {
    calls_at_random(1)
}

pub(crate) fn calls_at_random_on_two_vcpus() -> Checked {
    calls_at_random(2)
}

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

pub(crate) fn random_time() -> Duration {
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
