//! 32-bit programs: one of our own, assembled here and wrapped into an ELF file, so that no other
//! compiler is needed. It asks the kernel by `int 0x80` and by the vdso and, where that is asked, has
//! a thread-local segment or x87 registers, and keeps them while it is switched out.
#![allow(unsafe_code, reason = "assembly, and the bytes it became")]

use super::outcome::{NotOk, Outcome, ensure};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::{env, fs, process};

/// Where the program is loaded.
const BASE: u32 = 0x0804_8000;
/// The sizes of an ELF32 file header and a program header.
const HEADERS: u32 = 52 + 32;
/// How often it is run.
const RUNS: usize = 5;

/// Runs it; it says what went wrong by its exit code.
pub(super) fn check() -> Outcome {
    runs(&[])
}

/// Runs it with a thread-local segment: one argument is what it takes for that.
pub(super) fn check_tls() -> Outcome {
    runs(&["tls"])
}

/// Runs it with x87 registers: two arguments. Where KVM emulates 32-bit code there are none.
pub(super) fn check_fpu() -> Outcome {
    runs(&["x87", "registers"])
}

fn runs(args: &[&str]) -> Outcome {
    let path = env::temp_dir().join(format!("battery.{}.ia32", process::id()));
    fs::write(&path, elf())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    let ran = (0..RUNS).try_for_each(|_| run(&path, args));
    fs::remove_file(&path)?;
    ran
}

fn run(path: &std::path::Path, args: &[&str]) -> Outcome {
    let output = match Command::new(path).args(args).stdin(Stdio::null()).output() {
        Err(e) if e.raw_os_error() == Some(libc::ENOEXEC) => {
            return Err(NotOk::Skipped("this kernel runs no 32-bit programs".into()));
        }
        output => output?,
    };
    let what = match (output.status.code(), output.status.signal()) {
        (Some(0), _) => None,
        (Some(1), _) => Some("it does not run in a 32-bit code segment".to_owned()),
        (Some(2), _) => Some("the vdso and int 0x80 differ".to_owned()),
        (Some(3), _) => Some("set_thread_area was refused".to_owned()),
        (Some(4), _) => Some("its segment is not its own".to_owned()),
        (Some(5), _) => Some("its x87 registers have changed".to_owned()),
        _ => Some(format!("{}", output.status)),
    };
    ensure(what.is_none(), || what.unwrap_or_default())?;
    ensure(output.stdout == b"ia32 ok\n", || {
        format!("it wrote {:?}", output.stdout)
    })
}

/// The program as a file: one segment, readable and executable.
fn elf() -> Vec<u8> {
    let code = code();
    let size = HEADERS + code.len() as u32;
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |file: &mut Vec<u8>, values: &[u16]| {
        values.iter().for_each(|v| file.extend(v.to_le_bytes()));
    };
    let word = |file: &mut Vec<u8>, values: &[u32]| {
        values.iter().for_each(|v| file.extend(v.to_le_bytes()));
    };
    // ET_EXEC for EM_386, version, entry; program headers at 52, no sections, no flags.
    half(&mut file, &[2, 3]);
    word(&mut file, &[1, BASE + HEADERS, 52, 0, 0]);
    half(&mut file, &[52, 32, 1, 0, 0, 0]);
    // PT_LOAD: offset, addresses, sizes, R+X, alignment.
    word(&mut file, &[1, 0, BASE, BASE, size, size, 5, 4096]);
    file.extend(code);
    file
}

fn code() -> &'static [u8] {
    unsafe extern "C" {
        static xenlet_ia32_start: u8;
        static xenlet_ia32_end: u8;
    }
    let (start, end) = (&raw const xenlet_ia32_start, &raw const xenlet_ia32_end);
    // SAFETY: both labels are in one section of read-only data, the second behind the first.
    unsafe { std::slice::from_raw_parts(start, end as usize - start as usize) }
}

// System calls of i386: exit 1, write 4, getpid 20, sched_yield 158, set_thread_area 243.
std::arch::global_asm!(
    ".pushsection .rodata.xenlet_ia32, \"a\"",
    ".global xenlet_ia32_start, xenlet_ia32_end",
    ".hidden xenlet_ia32_start, xenlet_ia32_end",
    ".code32",
    "xenlet_ia32_start:",
    // Exit code in ebp, 1: cs is Linux's 32-bit one.
    "mov ebp, 1",
    "mov eax, cs",
    "cmp eax, 0x23",
    "jne 9f",
    // 2: getpid by int 0x80 and by the vdso's entry, AT_SYSINFO (32) behind argv and envp.
    "inc ebp",
    "mov eax, 20",
    "int 0x80",
    "mov esi, eax",
    "lea edi, [esp + 4]",
    "2: mov eax, [edi]",
    "add edi, 4",
    "test eax, eax",
    "jnz 2b",
    "3: mov eax, [edi]",
    "add edi, 4",
    "test eax, eax",
    "jnz 3b",
    "4: mov eax, [edi]",
    "mov edx, [edi + 4]",
    "add edi, 8",
    "test eax, eax",
    "jz 9f",
    "cmp eax, 32",
    "jne 4b",
    "push edx",
    "mov eax, 20",
    "call edx",
    "pop edx",
    "cmp eax, esi",
    "jne 9f",
    // 3: with one argument, a segment of its own over a word of the stack: entry -1, base, limit in
    // pages, 0x51 = 32-bit, limit in pages, usable. argc stays in edx.
    "inc ebp",
    "mov edx, [esp]",
    "cmp edx, 2",
    "jne 6f",
    "push 0x5eed1a32",
    "mov ecx, esp",
    "push 0x51",
    "push 0xfffff",
    "push ecx",
    "push -1",
    "mov ebx, esp",
    "mov eax, 243",
    "int 0x80",
    "test eax, eax",
    "jnz 9f",
    "mov eax, [esp]",
    "lea eax, [eax * 8 + 3]",
    "mov gs, eax",
    // With two, 12345 twice on the x87 stack.
    "6: push 12345",
    "cmp edx, 3",
    "jne 8f",
    "fninit",
    "fild dword ptr [esp]",
    "fild dword ptr [esp]",
    // 4: gs holds while others run.
    "8: mov edi, 200",
    "5: mov ebp, 4",
    "cmp edx, 2",
    "jne 7f",
    "cmp dword ptr gs:[0], 0x5eed1a32",
    "jne 9f",
    "7: mov eax, 158",
    "int 0x80",
    "dec edi",
    "jnz 5b",
    // 5: and so does the x87 stack.
    "inc ebp",
    "cmp edx, 3",
    "jne 10f",
    "fmulp st(1), st",
    "fistp dword ptr [esp]",
    "cmp dword ptr [esp], 152399025",
    "jne 9f",
    // write(1, "ia32 ok\n", 8)
    "10: push 0x0a6b6f20",
    "push 0x32336169",
    "mov eax, 4",
    "mov ebx, 1",
    "mov ecx, esp",
    "mov edx, 8",
    "int 0x80",
    "xor ebp, ebp",
    "9: mov eax, 1",
    "mov ebx, ebp",
    "int 0x80",
    "ud2",
    "xenlet_ia32_end:",
    ".code64",
    ".popsection",
);
