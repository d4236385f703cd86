//! The dump of a domain that crashed, as text: why, registers, last hypercalls, page walks.

use crate::domain::{Crash, Domain, Regs};
use crate::mm::walk::{Step, WalkFault, walk};
use crate::stats::Recent;
use hypercalls::{Nr, Vaddr};
use std::fmt::{self, Write};

/// Renders a crash; ends with a newline.
#[must_use]
pub fn render(dom: &Domain, crash: &Crash) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, dom, crash);
    out
}

fn write(out: &mut String, dom: &Domain, crash: &Crash) -> fmt::Result {
    let cpu = crash.cpu;
    writeln!(out, "the guest crashed on vCPU {cpu}: {}", crash.reason)?;
    registers(out, &crash.regs)?;
    if let Some(v) = dom.vcpus.get(cpu) {
        let mode = if v.kernel_mode { "kernel" } else { "user" };
        let (base, user) = (v.kernel_base, v.user_base);
        writeln!(out, "mode {mode}, kernel table {base}, user table {user:?}")?;
        let (fs, kernel, user) = (v.fs_base, v.gs_base_kernel, v.gs_base_user);
        writeln!(
            out,
            "fs base {fs:#x}, gs base {kernel:#x} (kernel), {user:#x} (user)"
        )?;
    }
    writeln!(out, "last hypercalls, oldest first:")?;
    for recent in dom.stats.recent(cpu) {
        writeln!(out, "  {}", Call(recent))?;
    }
    for (name, va) in [
        ("cr2", crash.cr2),
        ("rip", crash.regs.rip),
        ("rsp", crash.regs.rsp),
    ] {
        page_walk(out, dom, cpu, name, Vaddr(va))?;
    }
    Ok(())
}

fn registers(out: &mut String, r: &Regs) -> fmt::Result {
    let rows = [
        [
            ("rax", r.rax),
            ("rbx", r.rbx),
            ("rcx", r.rcx),
            ("rdx", r.rdx),
        ],
        [
            ("rsi", r.rsi),
            ("rdi", r.rdi),
            ("rbp", r.rbp),
            ("rsp", r.rsp),
        ],
        [("r8 ", r.r8), ("r9 ", r.r9), ("r10", r.r10), ("r11", r.r11)],
        [
            ("r12", r.r12),
            ("r13", r.r13),
            ("r14", r.r14),
            ("r15", r.r15),
        ],
    ];
    writeln!(out, "rip {:016x} rflags {:08x}", r.rip, r.rflags)?;
    for row in rows {
        let cells = row.map(|(name, value)| format!("{name} {value:016x}"));
        writeln!(out, "{}", cells.join(" "))?;
    }
    let Regs {
        cs,
        ss,
        ds,
        es,
        fs,
        gs,
        ..
    } = r;
    writeln!(
        out,
        "cs {cs:04x} ss {ss:04x} ds {ds:04x} es {es:04x} fs {fs:04x} gs {gs:04x}"
    )
}

/// One hypercall of the ring.
struct Call<'a>(&'a Recent);

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recent { nr, args, result } = self.0;
        let known = Nr::from_raw(*nr);
        match known {
            Some(known) => write!(f, "{}(", known.name())?,
            None => write!(f, "unknown {nr:#x}(")?,
        }
        let count = known.map_or(5, Nr::args);
        for (i, arg) in args.iter().take(count).enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{arg:#x}")?;
        }
        match result {
            Some(result) => write!(f, ") = {result}"),
            None => write!(f, ") did not return"),
        }
    }
}

fn page_walk(out: &mut String, dom: &Domain, cpu: usize, name: &str, va: Vaddr) -> fmt::Result {
    let Some(v) = dom.vcpus.get(cpu) else {
        return Ok(());
    };
    write!(out, "page walk of {name} {va}: ")?;
    let steps = match walk(&dom.memory, v.root(), va) {
        Ok(walk) => {
            let kind = dom.mm.type_of(walk.maddr.mfn());
            writeln!(
                out,
                "machine address {}, frame in use as {kind:?}",
                walk.maddr
            )?;
            walk.steps
        }
        Err(fault) => {
            writeln!(out, "{fault}")?;
            match fault {
                WalkFault::NonCanonical(_) => return Ok(()),
                WalkFault::NotPresent { steps, .. } | WalkFault::OutsideMemory { steps, .. } => {
                    steps
                }
            }
        }
    };
    for Step { level, at, pte } in steps {
        writeln!(out, "  {level:?} entry at {at}: {:#018x}", pte.0)?;
    }
    Ok(())
}
