//! Tiny guests on KVM: a few instructions of code, some pages of data, and how the run ended.
//!
//! The code lies at [`CODE`], data pages at [`data`]; both are mapped writable. What the data
//! holds may depend on the machine: it is written after the domain is built.

use crate::asm::{Asm, Reg::*};
use crate::runner::Skip;
use crate::runs;
use hypercalls::trap::FLAT_KERNEL_CS;
use hypercalls::{Mfn, Nr, PAGE_SIZE, Vaddr};
use std::io::Write;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};
use std::time::Duration;
use xenlet::domain::{Domain, DomainConfig, Piece, Program};
use xenlet::kvm::{Ending, Host, Options, Outcome};

/// Where the code is.
pub const CODE: u64 = 0xffff_ffff_8000_0000;
/// Pages of code.
const CODE_PAGES: u64 = 4;
/// Data pages.
pub const DATA_PAGES: u64 = 60;
/// The guest's memory.
pub const MEM_MIB: u64 = 8;

/// The address of data page `n`.
pub const fn data(n: u64) -> u64 {
    CODE + (CODE_PAGES + n) * PAGE_SIZE
}

/// The frame of data page `n`.
pub fn data_frame(dom: &Domain, n: u64) -> Mfn {
    dom.first_mfn().add(CODE_PAGES + n)
}

/// A frame that is mapped nowhere.
pub fn free_frame(dom: &Domain, n: u64) -> Mfn {
    dom.first_mfn().add(dom.layout.mapped + n)
}

/// The frame of the builder's table `n`; 0 is the L4.
pub fn table_frame(dom: &Domain, n: u64) -> Mfn {
    dom.first_mfn().add(dom.layout.tables.first.0 + n)
}

/// The address of the builder's table `n`.
pub fn table_va(dom: &Domain, n: u64) -> u64 {
    dom.layout.va(dom.layout.tables.first.add(n)).0
}

/// Writes `words` to the frames of the data from `at` on.
pub fn put(dom: &Domain, at: u64, words: &[u64]) {
    let maddr = dom.first_mfn().maddr().add(at.wrapping_sub(CODE));
    for (i, word) in words.iter().enumerate() {
        let written = dom.memory.write_u64(maddr.add(8 * i as u64), *word);
        written.expect("a data page");
    }
}

/// A guest about to run.
pub struct Tiny {
    code: Vec<u8>,
    cpus: usize,
    limit: Duration,
    setup: Option<Setup>,
}

type Setup = Box<dyn FnOnce(&Domain)>;

impl Tiny {
    /// A guest of the code that `write` writes.
    pub fn new(write: impl FnOnce(&mut Asm)) -> Tiny {
        let mut asm = Asm::new(CODE);
        write(&mut asm);
        Tiny {
            code: asm.finish(),
            cpus: 1,
            limit: Duration::from_secs(20),
            setup: None,
        }
    }

    /// With `cpus` vCPUs.
    pub fn cpus(self, cpus: usize) -> Tiny {
        Tiny { cpus, ..self }
    }

    /// For so long.
    pub fn limit(self, limit: Duration) -> Tiny {
        Tiny { limit, ..self }
    }

    /// With data that `setup` writes.
    pub fn data(self, setup: impl FnOnce(&Domain) + 'static) -> Tiny {
        let setup: Option<Setup> = Some(Box::new(setup));
        Tiny { setup, ..self }
    }

    /// Runs it to its end, the console dropped.
    ///
    /// # Errors
    /// Without /dev/kvm.
    ///
    /// # Panics
    /// If it cannot be started, or a thread of the hypervisor's panics.
    pub fn run(self) -> Result<Outcome, Skip> {
        self.run_to(Box::new(std::io::sink()))
    }

    /// Runs it to its end, the console to `output`.
    ///
    /// # Errors
    /// Without /dev/kvm.
    ///
    /// # Panics
    /// If it cannot be started, or a thread of the hypervisor's panics.
    pub fn run_to(self, output: Box<dyn Write + Send>) -> Result<Outcome, Skip> {
        let host = host()?;
        let piece = Piece {
            paddr: 0,
            size: (CODE_PAGES + DATA_PAGES) * PAGE_SIZE,
            data: &self.code,
        };
        let program = Program {
            virt_base: Vaddr(CODE),
            entry: Vaddr(CODE),
            pieces: vec![piece],
            ..Program::none()
        };
        let config = DomainConfig {
            mem_mib: MEM_MIB,
            cpus: self.cpus,
            ..DomainConfig::default()
        };
        let machine = host.build(&program, &config).expect("a tiny guest fits");
        if let Some(setup) = self.setup {
            setup(machine.domain());
        }
        let before = panics();
        let outcome = machine.run(Options {
            time_limit: Some(self.limit),
            output: Some(output),
            ..Options::default()
        });
        assert_eq!(panics(), before, "a thread of the hypervisor's panicked");
        Ok(outcome.expect("the host can run it"))
    }
}

/// The host, probed once.
///
/// # Errors
/// Without /dev/kvm.
///
/// # Panics
/// If it cannot run guests.
pub fn host() -> Result<&'static Host, Skip> {
    static HOST: OnceLock<Host> = OnceLock::new();
    runs::kvm()?;
    Ok(HOST.get_or_init(|| Host::open().unwrap_or_else(|e| panic!("{e}"))))
}

/// Panics of threads without a name, which are the hypervisor's: it waits for its threads and
/// goes on without the one that panicked, so that nobody would know.
fn panics() -> usize {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if std::thread::current().name().is_none() {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
    PANICS.load(Ordering::SeqCst)
}

/// Handler code: back to where the frame says, nothing changed.
pub fn return_from_fault(a: &mut Asm, error_code: bool) {
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
pub fn one_handler(vector: u8, handler: u64) -> impl FnOnce(&Domain) {
    move |dom| {
        put(
            dom,
            data(0),
            &[u64::from(vector) | u64::from(FLAT_KERNEL_CS) << 16, handler],
        )
    }
}

/// `vcpu_guest_context` from words at byte offsets; the rest is zero.
pub fn context(dom: &Domain, words: &[(usize, u64)]) {
    put(dom, data(4), &[0; 646]);
    for &(offset, word) in words {
        put(dom, data(4) + offset as u64, &[word]);
    }
}

/// The dump of a guest that crashed.
///
/// # Panics
/// If it ended otherwise, or the dump lacks something.
#[track_caller]
pub fn crashed(outcome: &Outcome) -> &str {
    let Ending::Crash(dump) = &outcome.ending else {
        panic!("ended by {:?}, not by a crash", outcome.ending);
    };
    for part in [
        "the guest crashed on vCPU",
        "rip ",
        "rax ",
        "last hypercalls",
        "page walk of cr2",
    ] {
        assert!(dump.contains(part), "no {part:?} in the dump:\n{dump}");
    }
    dump
}
