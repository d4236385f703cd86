//! `set_gdt`, `update_descriptor`, and looking a selector up in the guest's tables.

use super::{Answer, read};
use crate::domain::{Domain, Gdt};
use crate::mm::Refusal;
use hypercalls::segment::FIRST_RESERVED_GDT_ENTRY;
use hypercalls::{Errno, Maddr, Mfn, Vaddr};

/// Descriptors in a page.
const PER_PAGE: u32 = 512;
/// Present.
const P: u64 = 1 << 47;
/// Code or data, not a system descriptor.
const S: u64 = 1 << 44;

/// Takes the pages of a new GDT as descriptor tables, then lets those of the old one go.
pub(super) fn set_gdt(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    let entries = args[1] as u32;
    if entries > FIRST_RESERVED_GDT_ENTRY {
        return Err(Errno::EINVAL);
    }
    let mut frames = Vec::new();
    for i in 0..u64::from(entries.div_ceil(PER_PAGE)) {
        frames.push(Mfn(read(dom, cpu, args[0].wrapping_add(i * 8))?));
    }
    load_gdt(dom, cpu, &frames, entries).map(|()| 0)
}

/// As [`set_gdt`], the frames copied in already.
pub(super) fn load_gdt(
    dom: &mut Domain,
    cpu: usize,
    frames: &[Mfn],
    entries: u32,
) -> Result<(), Errno> {
    let mut gdt = Gdt {
        entries,
        ..Gdt::default()
    };
    for &mfn in frames {
        let taken = dom.mm.get_seg_desc(&dom.memory, mfn);
        if taken.is_err() || gdt.frames.try_push(mfn).is_err() {
            release(dom, &gdt);
            return Err(match taken {
                Err(Refusal::Unfinished) => Errno::ERESTART,
                _ => Errno::EINVAL,
            });
        }
    }
    let old = std::mem::replace(&mut dom.vcpus[cpu].gdt, gdt);
    release(dom, &old);
    Ok(())
}

fn release(dom: &mut Domain, gdt: &Gdt) {
    for &mfn in &gdt.frames {
        dom.mm.put_seg_desc(mfn);
    }
}

/// Writes one descriptor, its privilege made 3, into a descriptor table or ordinary memory.
pub(super) fn update_descriptor(dom: &mut Domain, args: [u64; 6]) -> Answer {
    let written = dom.mm.set_descriptor(&dom.memory, Maddr(args[0]), args[1]);
    written.map(|()| 0).map_err(|refusal| refusal.errno())
}

/// The descriptor a selector names in the guest's GDT or LDT, if it is present code or data.
pub(crate) fn descriptor_of(dom: &Domain, cpu: usize, selector: u16) -> Option<u64> {
    let v = dom.vcpus.get(cpu)?;
    let index = u32::from(selector >> 3);
    let descriptor = if selector & 4 != 0 {
        if index >= v.ldt.entries {
            return None;
        }
        let at = Vaddr(v.ldt.base.0.wrapping_add(u64::from(index) * 8));
        dom.kernel_view(cpu).read_obj::<u64>(at).ok()?
    } else {
        if index >= v.gdt.entries {
            return None;
        }
        let frame = v.gdt.frames.get((index / PER_PAGE) as usize)?;
        dom.memory
            .read_u64(frame.entry((index % PER_PAGE) as usize))
            .ok()?
    };
    (descriptor & P != 0 && descriptor & S != 0).then_some(descriptor)
}

/// The base of the segment a selector names.
pub(crate) fn base_of(dom: &Domain, cpu: usize, selector: u16) -> Option<u64> {
    let d = descriptor_of(dom, cpu, selector)?;
    Some((d >> 16 & 0xff_ffff) | (d >> 56) << 24)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::Guest;
    use hypercalls::mmu::{MMUEXT_SET_LDT, MmuextOp};
    use hypercalls::{DOMID_SELF, Nr};

    /// Present data of privilege 0 at 0x12345678.
    const DATA: u64 = 0x12cf_9334_5678_ffff;
    /// A present LDT: no segment.
    const SYSTEM: u64 = 0x0000_8200_0000_ffff;

    /// An LDT holds no frame: it may be written, and its page go, while it is set. What is read there
    /// is a base or nothing.
    #[test]
    fn an_ldt_is_read_each_time_and_gives_bases_only() {
        let mut g = Guest::new(1);
        let table = g.put(&[0, DATA, SYSTEM, 0]);
        let op = MmuextOp {
            cmd: MMUEXT_SET_LDT,
            arg1: table,
            arg2: 4,
            ..MmuextOp::default()
        };
        let at = g.put(&op);
        g.ok(Nr::MmuextOp, &[at, 1, 0, u64::from(DOMID_SELF)]);
        let bases = |g: &Guest| [0, 1, 2, 3, 4].map(|n| base_of(&g.dom, 0, n << 3 | 7));
        assert_eq!(bases(&g), [None, Some(0x1234_5678), None, None, None]);
        let view = g.dom.kernel_view(0);
        view.write_obj(Vaddr(table + 24), &DATA).expect("writable");
        assert_eq!(bases(&g)[3], Some(0x1234_5678));
        g.recount();
        g.ok(Nr::UpdateVaMapping, &[table, 0, 2]);
        assert_eq!(bases(&g), [None; 5]);
        g.recount();
    }
}
