//! All floating-point registers at once: filled, held, read back, by one piece of assembly, since
//! between two the compiler may use any of them.

use std::arch::asm;
use std::fmt::Write;

/// How much of the vector registers there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Xmm,
    Ymm,
}

/// How often `hold` enters the kernel, and how long it stays out in between.
const YIELDS: u64 = 40;
const SPINS: u32 = 100_000;
/// MXCSR and the x87 control word at rest: all exceptions masked.
const MXCSR: u32 = 0x1f80;
const FCW: u16 = 0x037f;

/// What is in them. x87 registers hold integers: these survive the way there and back exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C, align(32))]
pub(super) struct Registers {
    vector: [[u8; 32]; 16],
    x87: [i64; 8],
    mxcsr: u32,
    fcw: u16,
}

impl Registers {
    /// No two threads, rounds or registers have the same.
    pub(super) fn pattern(thread: u8, round: u8) -> Registers {
        let byte = |register: usize, at: usize| {
            (thread.wrapping_mul(37) ^ round.wrapping_mul(11)) ^ (register * 32 + at) as u8
        };
        let vector = std::array::from_fn(|r| std::array::from_fn(|at| byte(r, at)));
        let number = |r: usize| i64::from(thread) << 40 | i64::from(round) << 20 | r as i64;
        // The rounding mode is free to be anything: nothing is computed.
        let rounding = u16::from(thread % 4);
        Registers {
            vector,
            x87: std::array::from_fn(number),
            mxcsr: MXCSR | u32::from(rounding) << 13,
            fcw: FCW | rounding << 10,
        }
    }

    /// Fills the registers, gives the CPU away and spins, and reads them back.
    pub(super) fn hold(&self, width: Width) -> Registers {
        let mut found = Registers {
            vector: [[0; 32]; 16],
            x87: [0; 8],
            mxcsr: 0,
            fcw: 0,
        };
        match width {
            Width::Xmm => self.hold_sse(&mut found),
            Width::Ymm => self.hold_avx(&mut found),
        }
        found
    }

    /// The registers' names where they are not the same.
    pub(super) fn differences(&self, found: &Registers, width: Width) -> String {
        let bytes = if width == Width::Ymm { 32 } else { 16 };
        let mut text = String::new();
        for (r, (put, got)) in self.vector.iter().zip(&found.vector).enumerate() {
            if put[..16] != got[..16] {
                let _ = write!(text, "xmm{r} ");
            }
            if put[16..bytes] != got[16..bytes] {
                let _ = write!(text, "ymm{r}'s upper half ");
            }
        }
        let x87 = self.x87.iter().zip(&found.x87).enumerate();
        for (r, _) in x87.filter(|(_, (put, got))| put != got) {
            let _ = write!(text, "st{} ", 7 - r);
        }
        for (name, differs) in [
            ("mxcsr ", self.mxcsr != found.mxcsr),
            ("fcw ", self.fcw != found.fcw),
        ] {
            text.push_str(if differs { name } else { "" });
        }
        text
    }
}

/// `hold` for one instruction that moves a vector: `$zero` clears what the caller expects clear.
macro_rules! hold {
    ($name:ident, $mov:literal, $register:literal, $zero:literal) => {
        fn $name(&self, found: &mut Registers) {
            // SAFETY: reads `self` and writes `found`, both of the layout the offsets are of. Every
            // register it changes is named; the control words are put back; the system call is
            // sched_yield, which touches no memory.
            unsafe {
                asm!(
                    "fninit",
                    "fldcw [{put} + {fcw}]",
                    "ldmxcsr [{put} + {mxcsr}]",
                    ".irp r, 0,1,2,3,4,5,6,7",
                    "fild qword ptr [{put} + {x87} + \\r * 8]",
                    ".endr",
                    ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
                    concat!($mov, " ", $register, "\\r, [{put} + \\r * 32]"),
                    ".endr",
                    "2:",
                    "mov eax, 24", // sched_yield
                    "syscall",
                    "mov ecx, {spins}",
                    "3:",
                    "dec ecx",
                    "jnz 3b",
                    "dec {left}",
                    "jnz 2b",
                    ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
                    concat!($mov, " [{got} + \\r * 32], ", $register, "\\r"),
                    ".endr",
                    $zero,
                    ".irp r, 7,6,5,4,3,2,1,0",
                    "fistp qword ptr [{got} + {x87} + \\r * 8]",
                    ".endr",
                    "fnstcw [{got} + {fcw}]",
                    "stmxcsr [{got} + {mxcsr}]",
                    "fninit",
                    "ldmxcsr [{rest}]",
                    put = in(reg) self,
                    got = in(reg) found,
                    rest = in(reg) &MXCSR,
                    left = inout(reg) YIELDS => _,
                    spins = const SPINS,
                    x87 = const std::mem::offset_of!(Registers, x87),
                    mxcsr = const std::mem::offset_of!(Registers, mxcsr),
                    fcw = const std::mem::offset_of!(Registers, fcw),
                    out("rax") _, out("rcx") _, out("r11") _,
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                    out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                    out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                    out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                    out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                    out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                    options(nostack),
                );
            }
        }
    };
}

impl Registers {
    hold!(hold_sse, "movdqu", "xmm", "");
    hold!(hold_avx, "vmovdqu", "ymm", "vzeroupper");
}

/// Makes all vector registers zero, in full where there is AVX, and empties the x87 stack.
pub(super) fn wipe() {
    if std::arch::is_x86_feature_detected!("avx") {
        // SAFETY: the CPU has it. Upper halves are nobody's between two functions.
        unsafe {
            asm!("vzeroall", out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _,
            out("xmm9") _, out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _,
            out("xmm14") _, out("xmm15") _, options(nomem, nostack))
        };
    }
    // SAFETY: changes the registers named, and leaves x87 as functions expect it.
    unsafe {
        asm!(".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15", "pxor xmm\\r, xmm\\r", ".endr",
            "fninit", out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _,
            out("xmm9") _, out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _,
            out("xmm14") _, out("xmm15") _, options(nomem, nostack));
    }
}
