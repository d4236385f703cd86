//! Tests of frames that are no tables: descriptor pages, held and shared frames, the M2P.

use super::Mm;
use super::fixture::*;
use hypercalls::{Errno, Level, Mfn};

#[test]
fn refused_descriptor_pages_leak_nothing() {
    let mut machine = Machine::new();
    machine.poke(FREE.entry(511), 0x0000_8900_0000_0067);
    let refused = machine.mm.get_seg_desc(&machine.mem, FREE);
    assert_eq!(refused.expect_err("a TSS").name(), "BadDescriptor");
    let refused = machine.mm.get_seg_desc(&machine.mem, Mfn(END));
    assert_eq!(refused.expect_err("no frame").name(), "BadFrame");
    let refused = machine.mm.get_seg_desc(&machine.mem, L2);
    assert_eq!(refused.expect_err("a table").name(), "WrongType");
    machine.check();
}

#[test]
fn single_descriptors() {
    let kernel_code = 0x00af_9b00_0000_ffff;
    for (at, value, expected) in [
        (GDT.entry(3), kernel_code, Ok(())),
        (DATA.entry(3), kernel_code, Ok(())),
        (GDT.entry(3).add(4), kernel_code, Err("Unaligned")),
        (GDT.entry(3), 0x0000_8900_0000_0067, Err("BadDescriptor")),
        (L1.entry(3), kernel_code, Err("TargetInUse")),
        (Mfn(END).entry(0), kernel_code, Err("BadTarget")),
    ] {
        let mut machine = Machine::new();
        let set = machine.mm.set_descriptor(&machine.mem, at, value);
        assert_eq!(set.map_err(|refusal| refusal.name()), expected, "{at}");
        if expected.is_ok() {
            assert_eq!(machine.peek(at), 0x00af_fb00_0000_ffff);
        }
        machine.check();
    }
}

/// Frames the hypervisor holds as writable cannot become tables until it lets go.
#[test]
fn held_frames_stay_data() {
    let mut machine = Machine::new();
    machine.mm.get_writable(FREE).expect("free");
    machine.roots.writable.push(FREE);
    machine.check();
    assert_eq!(machine.pin(Level::L1, FREE), Err(Errno::EINVAL));
    machine.mm.put_writable(FREE);
    machine.roots.writable.pop();
    assert_eq!(machine.pin(Level::L1, FREE), Ok(()));
    for bad in [L1, GDT, Mfn(1), Mfn(END)] {
        assert!(machine.mm.get_writable(bad).is_err(), "{bad}");
    }
    machine.check();
    assert_eq!(machine.pin(Level::L1, SHARED), Err(Errno::EINVAL));
    assert!(machine.mm.share(Mfn(END)).is_err());
}

/// The machine-to-physical table is where the host said; if that is no memory, it is an error.
#[test]
fn machphys_outside_memory() {
    let machine = Machine::new();
    let guest = Mfn(FIRST)..Mfn(END);
    let mut mm = Mm::new(END, guest, 0, Mfn(END).maddr());
    let refused = mm.machphys(&machine.mem, DATA, 1);
    assert_eq!(refused.expect_err("no table").name(), "BadMachineAddress");
}
