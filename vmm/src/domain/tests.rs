//! The builder: what a guest finds at its entry, and what is refused.

use super::fixture::Guest;
use super::*;
use hypercalls::shared_info::SharedInfo;
use hypercalls::start_info::{SIF_MOD_START_PFN, StartInfo};
use hypercalls::{Errno, Level, Nr, PAGE_SIZE, Pfn, Pte, PteFlags, Vaddr};

const BASE: Vaddr = Vaddr(0xffff_ffff_8000_0000);

fn kernel(pieces: Vec<Piece<'_>>) -> Program<'_> {
    Program {
        entry: Vaddr(BASE.0 + 0x10_0010),
        virt_base: BASE,
        pieces,
        ..Program::default()
    }
}

fn piece(data: &[u8]) -> Piece<'_> {
    Piece {
        paddr: 0x10_0000,
        size: 0x2000,
        data,
    }
}

fn config() -> DomainConfig {
    DomainConfig {
        mem_mib: 32,
        cpus: 2,
        cmdline: "a=b".into(),
        initrd: Some(b"initrd".to_vec()),
        ..DomainConfig::default()
    }
}

fn built(program: &Program<'_>, config: &DomainConfig) -> Result<(Domain, Regs), BuildError> {
    build(program, config, &HostLayout::bare(config.mem_mib))
}

fn start_info(dom: &Domain, regs: &Regs) -> StartInfo {
    let info = dom.kernel_view(0).read_obj(Vaddr(regs.rsi));
    info.expect("rsi points to start_info")
}

#[test]
fn a_guest_finds_what_it_expects() {
    let program = kernel(vec![piece(b"code")]);
    let (dom, regs) = built(&program, &config()).expect("fits");
    assert_eq!(dom.recount(), []);
    assert_eq!((regs.rip, regs.rflags), (BASE.0 + 0x10_0010, 0x202));
    assert_eq!((regs.cs, regs.ss, regs.rax), (0xe033, 0xe02b, 0));
    let view = dom.kernel_view(0);
    assert_eq!(view.read_obj(Vaddr(BASE.0 + 0x10_0000)), Ok(*b"code"));
    view.write_obj(Vaddr(regs.rsp - 8), &1u64)
        .expect("a stack below rsp");

    let info = start_info(&dom, &regs);
    assert_eq!(&info.magic[..15], b"xen-3.0-x86_64\0");
    assert_eq!((info.nr_pages, &info.cmd_line[..4]), (8192, &b"a=b\0"[..]));
    assert_eq!((info.mod_len, info.flags), (6, 0));
    assert_eq!(view.read_obj(Vaddr(info.mod_start)), Ok(*b"initrd"));
    assert_eq!(
        view.translate(info.pt_base, false).map(|m| m.mfn()),
        Ok(dom.vcpus[0].kernel_base)
    );
    assert_ne!((info.store_evtchn, info.console.evtchn), (0, 0));
}

#[test]
fn p2m_and_m2p_are_each_others_inverse_and_not_the_identity() {
    let (dom, regs) = built(&Program::none(), &config()).expect("fits");
    let info = start_info(&dom, &regs);
    for pfn in [0, 1, 4095, 8191] {
        let at = info.mfn_list.add(pfn * 8);
        let mfn: u64 = dom.kernel_view(0).read_obj(at).expect("mapped");
        assert_ne!(mfn, pfn);
        assert_eq!(dom.memory.read_u64(dom.host.m2p.add(mfn * 8)), Ok(pfn));
    }
    assert_eq!(dom.memory.read_u64(dom.host.m2p), Ok(u64::MAX));
}

#[test]
fn upcalls_and_ports_start_masked() {
    let (dom, _) = built(&Program::none(), &config()).expect("fits");
    let shared: SharedInfo = dom.memory.read_obj(dom.shared_info).expect("ours");
    assert!(shared.vcpu_info.iter().all(|v| v.evtchn_upcall_mask == 1));
    assert_eq!(shared.evtchn_mask, [u64::MAX; 64]);
    assert_ne!(shared.wc_sec, 0);
    assert!(dom.vcpus[0].up && !dom.vcpus[1].up);
}

/// The first tables are typed: the guest may read them, never write them.
#[test]
fn the_first_tables_cannot_be_made_writable() {
    let mut g = Guest::new(1);
    let tables = g.dom.layout.tables;
    let mfn = g.dom.first_mfn().add(tables.first.0);
    let entry = Pte::new(mfn, PteFlags::PRESENT | PteFlags::RW).0;
    g.refused(
        Nr::UpdateVaMapping,
        &[g.dom.layout.va(tables.first).0, entry, 0],
        Errno::EBUSY,
    );
    let (free, _) = g.page();
    g.refused(Nr::UpdateVaMapping, &[free.0, entry, 0], Errno::EBUSY);
    g.recount();
}

/// The shared-info page is mapped by its machine address, as every guest does it first.
#[test]
fn the_shared_info_page_can_be_mapped() {
    let mut g = Guest::new(1);
    let (va, _) = g.page();
    let entry = Pte::new(g.dom.shared_info.mfn(), PteFlags::PRESENT | PteFlags::RW).0;
    g.ok(Nr::UpdateVaMapping, &[va.0, entry, 2]);
    assert_eq!(g.get::<[u8; 2]>(va.0), [0, 1]);
    g.recount();
}

#[test]
fn linux_gets_its_p2m_apart_and_its_initrd_by_pfn() {
    let program = Program {
        init_p2m: Some(Vaddr(0x80_0000_0000)),
        unmapped_initrd: true,
        ..kernel(vec![piece(b"code")])
    };
    let (dom, regs) = built(&program, &config()).expect("fits");
    assert_eq!(dom.recount(), []);
    let info = start_info(&dom, &regs);
    assert_eq!(
        (info.flags, info.mfn_list),
        (SIF_MOD_START_PFN, Vaddr(0x80_0000_0000))
    );
    assert_eq!(info.nr_p2m_frames, 16 + 3);
    let initrd = dom.first_mfn().add(info.mod_start).maddr();
    assert_eq!(dom.memory.read_obj(initrd), Ok(*b"initrd"));
    let mfn = dom.kernel_view(0).read_obj::<u64>(info.mfn_list.add(8));
    assert_eq!(mfn, Ok(dom.first_mfn().0 + 1));
    let table = dom.layout.va(Pfn(info.first_p2m_pfn.0 + 16));
    assert_eq!(
        dom.mm
            .type_of(dom.first_mfn().add(info.first_p2m_pfn.0 + 16))
            .level(),
        Some(Level::L3)
    );
    assert!(dom.kernel_view(0).translate(table, true).is_err());
}

#[test]
fn the_hypercall_page_is_filled_if_asked_for() {
    let program = Program {
        hypercall_page: Some(Vaddr(BASE.0 + 0x10_1000)),
        ..kernel(vec![piece(b"code")])
    };
    let (dom, _) = built(&program, &config()).expect("fits");
    let stub: [u8; 4] = dom
        .kernel_view(0)
        .read_obj(Vaddr(BASE.0 + 0x10_1000))
        .expect("mapped");
    assert_eq!(stub, [0x51, 0x41, 0x53, 0xb8]);
}

#[test]
fn bad_input_has_one_clear_line() {
    let line = |program: &Program<'_>, change: &dyn Fn(&mut DomainConfig)| {
        let mut config = config();
        change(&mut config);
        let error = built(program, &config).map(|_| ()).expect_err("refused");
        error.to_string()
    };
    let nothing = |_: &mut DomainConfig| {};
    let none = Program::none();
    let needs = line(&none, &|c| c.mem_mib = 1);
    assert_eq!(
        needs,
        "1 MiB of memory are too little for this kernel: it needs 4 MiB"
    );
    let large = kernel(vec![Piece {
        size: 64 << 20,
        ..piece(b"")
    }]);
    assert!(
        line(&large, &nothing).contains("it needs"),
        "{}",
        line(&large, &nothing)
    );
    assert!(line(&none, &|c| c.mem_mib = u64::MAX).contains("between 1 and"));
    assert!(line(&none, &|c| c.cpus = 33).contains("33 vCPUs"));
    assert!(line(&none, &|c| c.cmdline = "x".repeat(1024)).contains("1024 bytes; at most 1023"));
    assert!(line(&none, &|c| c.cmdline = "\0".into()).contains("zero byte"));
    let overlap = kernel(vec![
        piece(b""),
        Piece {
            paddr: 0x10_1000,
            ..piece(b"")
        },
    ]);
    assert!(line(&overlap, &nothing).contains("begins before"));
    let wraps = kernel(vec![Piece {
        paddr: u64::MAX - 1,
        ..piece(b"")
    }]);
    assert!(!line(&wraps, &nothing).is_empty());
    let entry = Program {
        entry: Vaddr(7),
        ..kernel(vec![piece(b"")])
    };
    assert!(line(&entry, &nothing).contains("entry point 0x7"));
    let page = Program {
        hypercall_page: Some(Vaddr(BASE.0)),
        ..kernel(vec![piece(b"")])
    };
    assert!(line(&page, &nothing).contains("hypercall page"));
    let hole = Program {
        virt_base: Vaddr::from_l4_slot(256),
        ..Program::none()
    };
    assert!(line(&hole, &nothing).contains("cannot be mapped"));
}

#[test]
fn the_longest_command_line_fits() {
    let config = DomainConfig {
        cmdline: "x".repeat(1023),
        ..config()
    };
    let (dom, regs) = built(&Program::none(), &config).expect("fits");
    let line = start_info(&dom, &regs).cmd_line;
    assert_eq!((line[1022], line[1023]), (b'x', 0));
}

#[test]
fn memory_is_what_it_says() {
    let (dom, _) = built(&Program::none(), &config()).expect("fits");
    let bytes = HostLayout::total_frames(dom.host.hv_frames, 32) * PAGE_SIZE;
    assert_eq!(dom.memory.frames() * PAGE_SIZE, bytes);
}

/// A clear and a new entry in one trap: only the clear is logged, since what was not present needs
/// no host. Replayed as logged it would undo the new entry, and the guest's page would be gone.
#[test]
fn an_entry_replaced_in_two_steps_is_shown_as_it_is_in_the_end() {
    let mut g = Guest::new(1);
    let (va, mfn) = g.page();
    let entry = Pte::new(mfn, PteFlags::PRESENT | PteFlags::RW);
    g.dom.take_effects();
    for pte in [0, entry.0] {
        g.ok(Nr::UpdateVaMapping, &[va.0, pte, 0]);
    }
    let stores = g.dom.take_effects().stores;
    let at = crate::mm::walk::walk(&g.dom.memory, g.dom.vcpus[0].kernel_base, va)
        .expect("mapped")
        .leaf_at;
    let held = g.dom.memory.read_u64(at).expect("in memory");
    assert_eq!(stores, [crate::mm::Store { at, value: held }]);
    assert_eq!(Pte(held).mfn(), mfn);
}
