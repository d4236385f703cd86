//! Debian's own kernels as guests: each boots with one vCPU and with two, runs the userland battery
//! and powers off; counts have the shape they should; a shell on a terminal does as it is told; many
//! boots in a row end well.
//!
//! `XENLET_LINUX=all cargo test -p tests --test linux` takes all four kernels instead of two, and
//! the battery's 600 pipelines instead of some; `XENLET_BOOTS=50` boots so often in a row.

use init::battery::{CHECKS, IA32_FPU};
use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tests::binary::xenlet;
use tests::guests::{Boot, Booted, LINUX, chosen, initrd_with_python, ready};
use tests::pty::OnTerminal;
use tests::runner::{Check, Checked, main as run};
use tests::scratch::Scratch;
use tests::tiny::host;

/// Boots in a row: how many, and how many if nothing is said.
const BOOTS: &str = "XENLET_BOOTS";
const SOME_BOOTS: u32 = 2;
/// What a battery may take where every fork traps and the machine is busy.
const BATTERY_S: u64 = 1200;
const BOOT_S: u64 = 120;
/// Pipelines if nothing is said.
const SOME_PIPELINES: &str = "XENLET_PIPELINES=60";

fn main() -> ExitCode {
    let images = chosen();
    let mut checks = Vec::new();
    for (image, cpus) in images
        .iter()
        .flat_map(|i| [1, 2].map(|cpus| (i.clone(), cpus)))
    {
        let name = format!("battery/{image}/{cpus}");
        let check = Check::new(name, move || battery(&image, cpus));
        checks.push(check.within(Duration::from_secs(BATTERY_S + BOOT_S)));
    }
    if images.iter().any(|image| image == SHAPE_OF) {
        checks.push(Check::new("shape", shape));
    }
    for image in images.clone() {
        let name = format!("no_wx/{image}");
        checks.push(Check::new(name, move || no_writable_code(&image)));
    }
    if let Some(image) = images.iter().find(|i| *i == "debian-7.2").cloned() {
        let boots = boots_wanted();
        let (four, ends) = (image.clone(), image.clone());
        checks.push(Check::new("cpus_come_and_go", move || hotplug(&four)));
        checks.push(Check::new("reboot_and_panic", move || other_ends(&ends)));
        let shell_of = image.clone();
        checks.push(Check::new("shell", move || shell(&shell_of)));
        let check = Check::new("boots", move || in_a_row(&image, boots));
        checks.push(check.within(Duration::from_secs(BOOT_S * u64::from(boots + 1))));
    }
    run(checks)
}

fn boots_wanted() -> u32 {
    let said = env::var(BOOTS).ok();
    said.map_or(SOME_BOOTS, |n| {
        n.parse().unwrap_or_else(|e| panic!("{BOOTS}={n}: {e}"))
    })
}

/// Boots, prints the battery's table, and has no line of it other than ok.
fn battery(image: &str, cpus: u32) -> Checked {
    ready(image)?;
    let (initrd, no_python) = initrd_with_python();
    let pipelines = match env::var_os(LINUX) {
        Some(_) => "",
        None => SOME_PIPELINES,
    };
    let booted = Boot {
        image,
        cpus,
        mem_mib: None,
        initrd: Some(initrd),
        cmdline: &format!("quiet xenlet.init=battery {pipelines}"),
        time_limit_s: BATTERY_S,
    }
    .run();
    let lines = booted.console.lines();
    let table: Vec<&str> = lines.filter(|line| line.starts_with("battery ")).collect();
    table
        .iter()
        .for_each(|line| println!("{image}/{cpus} {line}"));
    if let Some(why) = no_python {
        println!("{image}/{cpus} python skipped: {why}");
    }
    let no_x87 = !host()?.probe.native_compat;
    if no_x87 {
        println!(
            "{image}/{cpus} {IA32_FPU} skipped: this host's KVM emulates 32-bit code, without x87"
        );
    }
    let wrong = CHECKS.iter().map(|check| check.name).filter(|&name| {
        let may_lack = name == "python" && no_python.is_some();
        let excused = name == IA32_FPU && no_x87;
        !excused && !table.iter().any(|line| passed(line, name, may_lack))
    });
    let wrong: Vec<&str> = wrong.collect();
    assert!(wrong.is_empty(), "not ok: {wrong:?}\n{}", booted.tail());
    powered_off(&booted);
    Ok(())
}

/// `battery NAME ok MILLIS`.
fn passed(line: &str, name: &str, may_lack: bool) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["battery", its, "ok", millis] => its == name && millis.parse::<u64>().is_ok(),
        ["battery", its, "skipped", ..] => its == name && may_lack,
        _ => false,
    }
}

/// It ended as it should, and what it did was counted.
#[track_caller]
fn powered_off(booted: &Booted) {
    assert_eq!(booted.code, Some(0), "{}", booted.tail());
    assert_eq!(booted.report["ended"], "poweroff", "{}", booted.tail());
    for group in [
        "hypercalls",
        "operations",
        "batch_sizes",
        "exits",
        "time_ms",
    ] {
        assert!(booted.total(group) > 0, "{group}: nothing was counted");
    }
}

/// The kernel whose counts are known.
const SHAPE_OF: &str = "debian-6.1";
/// Counts of a boot of 6.1 to its first user program, every hypercall trapped, as measured once by
/// another hypervisor with another initramfs.
const SHAPE: [(&str, u64); 5] = [
    ("mmu_update", 43_180),
    ("multicall", 17),
    ("update_va_mapping", 611),
    ("mmuext_op", 17_661),
    ("iret", 640),
];
/// How far off a count of the same shape may be, each way.
const FACTOR: u64 = 3;

/// A boot that does nothing makes the hypercalls it should, about as often.
fn shape() -> Checked {
    ready(SHAPE_OF)?;
    let booted = to_user_mode(SHAPE_OF, 1);
    powered_off(&booted);
    for (name, known) in SHAPE {
        let counted = booted.counter("hypercalls", name);
        println!("{SHAPE_OF} {name}: {counted}, known {known}");
        assert!(
            (known / FACTOR..=known * FACTOR).contains(&counted),
            "{name}: {counted}, not about {known}"
        );
    }
    Ok(())
}

/// What made another hypervisor's guests warn of mappings that are writable and executable.
const WX_MEM_MIB: u32 = 1024;
const WX_INITRD_BYTES: usize = 36 << 20;

/// The kernel looks at every mapping it has once it is up, and finds none writable and executable:
/// what the builder mapped is gone or no more than the kernel's own.
fn no_writable_code(image: &str) -> Checked {
    ready(image)?;
    let dir = Scratch::new();
    let padding = vec![0xa5; WX_INITRD_BYTES];
    let archive = xenlet::initramfs::bare().file("padding", 0o644, &padding);
    let initrd = dir.file("initrd", &archive.finish());
    let booted = Boot {
        initrd: Some(Path::new(&initrd)),
        // Not quiet: it says so in passing.
        cmdline: "xenlet.init=nothing",
        mem_mib: Some(WX_MEM_MIB),
        ..nothing(image, 1)
    }
    .run();
    powered_off(&booted);
    let said = "Checked W+X mappings: passed, no W+X pages found";
    assert!(booted.console.contains(said), "{}", booted.tail());
    Ok(())
}

/// More vCPUs than most hosts of these tests have CPUs; each but the first goes and comes back.
fn hotplug(image: &str) -> Checked {
    ready(image)?;
    let boot = Boot {
        cmdline: "quiet xenlet.init=hotplug",
        ..nothing(image, 4)
    };
    let booted = boot.run();
    powered_off(&booted);
    assert!(
        booted.console.contains("\nhotplug 15 rounds\n"),
        "{}",
        booted.tail()
    );
    let downs = booted.counter("operations", "vcpu_op/down");
    assert!(downs >= 15, "{downs} vcpu_op/down");
    Ok(())
}

/// A reboot is no crash; a kernel that panics says why, and leaves a dump.
fn other_ends(image: &str) -> Checked {
    ready(image)?;
    let ends = |what: &str| {
        let cmdline = format!("quiet xenlet.init={what}");
        let boot = Boot {
            cmdline: &cmdline,
            ..nothing(image, 1)
        };
        boot.run()
    };
    let reboot = ends("reboot");
    assert_eq!(reboot.code, Some(0), "{}", reboot.tail());
    assert_eq!(reboot.report["ended"], "reboot");
    assert!(
        reboot.errors.contains("asked for a reboot"),
        "{}",
        reboot.errors
    );
    let panic = ends("panic");
    assert_eq!(panic.code, Some(4), "{}", panic.tail());
    assert_eq!(panic.report["ended"], "crashed");
    assert!(panic.console.contains("Kernel panic"), "{}", panic.tail());
    for part in ["it reported a crash itself", "rip ", "last hypercalls"] {
        assert!(panic.errors.contains(part), "{part}: {}", panic.tail());
    }
    Ok(())
}

fn to_user_mode(image: &str, cpus: u32) -> Booted {
    nothing(image, cpus).run()
}

/// A boot to user mode and off.
fn nothing(image: &str, cpus: u32) -> Boot<'_> {
    Boot {
        image,
        cpus,
        mem_mib: None,
        initrd: None,
        cmdline: "quiet xenlet.init=nothing",
        time_limit_s: BOOT_S,
    }
}

/// A person at a terminal: a prompt, commands, and the way out.
fn shell(image: &str) -> Checked {
    ready(image)?;
    let args = ["boot", "--image", image, "--cpus", "2"];
    let mut terminal = OnTerminal::start(xenlet(), &args);
    let limit = Duration::from_secs(BOOT_S);
    let dialogue: [(&[u8], &str); 4] = [
        (b"", "# "),
        (b"uname -sm\r", "\nLinux x86_64\n"),
        (b"dmesg | grep -q Xen && echo found\r", "\nfound\n"),
        (b"echo $((6 * 7))\r", "\n42\n"),
    ];
    // The guest returns the carriage, and the terminal does once more.
    let shown = |t: &OnTerminal| String::from_utf8_lossy(&t.screen()).replace('\r', "");
    for (keys, answer) in dialogue {
        terminal.press(keys);
        let came = terminal.waits(limit, |t| shown(t).contains(answer));
        assert!(came, "no {answer:?} in\n{}", shown(&terminal));
    }
    terminal.press(b"poweroff\r");
    let ended = terminal.ends(limit).and_then(|status| status.code());
    assert_eq!(ended, Some(0), "{}", shown(&terminal));
    assert!(terminal.is_as_before(), "the terminal is still raw");
    Ok(())
}

/// One after the other, to user mode and off; every failure is told.
fn in_a_row(image: &str, boots: u32) -> Checked {
    ready(image)?;
    let started = Instant::now();
    let bad = (1..=boots).filter(|number| {
        let booted = to_user_mode(image, 2);
        let good = booted.code == Some(0) && booted.console.contains(init::MARKER);
        if !good {
            println!("boot {number} of {image}: {}", booted.tail());
        }
        !good
    });
    let failures = bad.count();
    let seconds = started.elapsed().as_secs();
    println!("{image}, 2 vCPUs: {boots} boots, {failures} failures, {seconds} s");
    assert_eq!(failures, 0);
    Ok(())
}
