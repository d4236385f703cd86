//! A hypercall's round trip through the whole run loop, beside the same exit in a bare loop.

use super::BenchError;
use crate::domain::{DomainConfig, Piece, Program};
use crate::kvm::{Ending, Host, Options, bare_exits};
use crate::report::bench::Measure;
use hypercalls::Vaddr;
use hypercalls::sched::SHUTDOWN_POWEROFF;
use std::time::Instant;

const SAMPLES: usize = 15;
const FEW: u32 = 1_000;
const MANY: u32 = 5_000;
const LIMIT: f64 = 1.15;
const VIRT_BASE: Vaddr = Vaddr(0xffff_ffff_8000_0000);

/// `xen_version` `count` times, then power off.
///
/// ```text
///     mov $count,%ebx
/// 1:  mov $17,%eax; xor %edi,%edi; syscall
///     dec %ebx; jnz 1b
///     mov $29,%eax; mov $2,%edi; lea 2f(%rip),%rsi; syscall
/// 2:  .long 0
/// ```
fn program(count: u32) -> Vec<u8> {
    let mut code = vec![0xbb];
    code.extend(count.to_le_bytes());
    code.extend([
        0xb8, 17, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05, 0xff, 0xcb, 0x75, 0xf3,
    ]);
    code.extend([0xb8, 29, 0, 0, 0, 0xbf, 2, 0, 0, 0]);
    code.extend([0x48, 0x8d, 0x35, 2, 0, 0, 0, 0x0f, 0x05, 0, 0, 0, 0]);
    code
}

/// Samples alternate between the two, so that a disturbance meets both.
fn samples(kvm: &Host) -> Result<(Vec<f64>, Vec<f64>), BenchError> {
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        floor.extend(bare_exits(kvm.kvm(), &kvm.probe, 1, MANY - FEW)?);
        let (few, many) = (timed(kvm, FEW)?, timed(kvm, MANY)?);
        ours.push((many - few) / f64::from(MANY - FEW));
    }
    Ok((ours, floor))
}

pub(super) fn measure(kvm: &Host) -> Result<Measure, BenchError> {
    let us = |ns: Vec<f64>| ns.into_iter().map(|ns| ns / 1000.0).collect();
    let (ours, floor) = samples(kvm)?;
    Ok(super::measure(
        "hypercall round trip",
        "us",
        us(ours),
        Some(us(floor)),
        LIMIT,
    ))
}

/// Nanoseconds of a whole run of `count` hypercalls.
fn timed(kvm: &Host, count: u32) -> Result<f64, BenchError> {
    let code = program(count);
    let piece = Piece {
        paddr: 0,
        size: code.len() as u64,
        data: &code,
    };
    let program = Program {
        virt_base: VIRT_BASE,
        entry: VIRT_BASE,
        pieces: vec![piece],
        ..Program::none()
    };
    let config = DomainConfig {
        mem_mib: 8,
        ..DomainConfig::default()
    };
    let machine = kvm.build(&program, &config)?;
    let start = Instant::now();
    let outcome = machine.run(Options::default())?;
    let took = start.elapsed().as_nanos() as f64;
    match outcome.ending {
        Ending::Shutdown(SHUTDOWN_POWEROFF) => Ok(took),
        other => Err(BenchError::Guest(format!("ended with {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::program;
    use iced_x86::{Code, Decoder, DecoderOptions};

    #[test]
    fn the_program_loops_and_powers_off() {
        let code = program(7);
        let all: Vec<_> = Decoder::with_ip(64, &code[..code.len() - 4], 0, DecoderOptions::NONE)
            .into_iter()
            .collect();
        let calls = all.iter().filter(|i| i.code() == Code::Syscall).count();
        let back = all
            .iter()
            .find(|i| i.code() == Code::Jne_rel8_64)
            .expect("a loop");
        assert_eq!((calls, back.near_branch_target()), (2, 5));
        let lea = all
            .iter()
            .find(|i| i.code() == Code::Lea_r64_m)
            .expect("an argument");
        assert_eq!(lea.ip_rel_memory_address(), code.len() as u64 - 4);
    }
}
