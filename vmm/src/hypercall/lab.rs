//! The measuring guest's own hypercall: sections, comparisons, results. See `hypercalls::lab`.

use super::{Answer, read, work};
use crate::domain::{Domain, LabError};
use crate::memory::Memory;
use crate::mm::walk::l1_entry;
use hypercalls::lab::*;
use hypercalls::{Errno, Mfn, Pte, Vaddr};

/// One operation of the lab.
pub(super) fn lab(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    match args[0] as u32 {
        LAB_ATTACH => attach(dom, cpu, Vaddr(args[1])),
        LAB_BEGIN => dom.lab.begin().map_err(errno),
        LAB_END => dom.lab.end().map_err(errno),
        LAB_CHECK => return check(dom, cpu, args[1], args[2]),
        LAB_RESULT => {
            let result: CellResult = read(dom, cpu, args[1])?;
            dom.recount_soon();
            dom.lab.finish(result).map_err(errno)
        }
        _ => Err(Errno::ENOSYS),
    }
    .map(|()| 0)
}

fn errno(error: LabError) -> Errno {
    match error {
        LabError::Open => Errno::EBUSY,
        LabError::Closed => Errno::EINVAL,
        LabError::Full => Errno::ENOSPC,
    }
}

fn attach(dom: &mut Domain, cpu: usize, page: Vaddr) -> Result<(), Errno> {
    if page.offset() != 0 {
        return Err(Errno::EFAULT);
    }
    read::<LabPage>(dom, cpu, page.0)?;
    dom.lab.page = Some(page);
    Ok(())
}

/// Compares what the guest expects with what the tables hold, walked by ourselves.
fn check(dom: &mut Domain, cpu: usize, at: u64, count: u64) -> Answer {
    if count > LAB_CHECK_MAX {
        return Err(Errno::EINVAL);
    }
    let root = dom.vcpus[cpu].kernel_base;
    let mut differ = 0;
    for i in 0..count {
        dom.mm.charge(work::ANSWERED);
        let expected: ExpectedPte = read(dom, cpu, at.wrapping_add(i * 16))?;
        let held = held(&dom.memory, root, Vaddr(expected.va));
        let mismatch = mismatch(&expected, held);
        differ += i64::from(mismatch.is_some());
        dom.lab.checked(mismatch);
    }
    Ok(differ)
}

fn mismatch(expected: &ExpectedPte, held: Option<Pte>) -> Option<String> {
    let ExpectedPte { va, pte } = *expected;
    match held {
        Some(held) if (held.0 ^ pte) & !CHECK_IGNORES == 0 => None,
        Some(Pte(held)) => Some(format!(
            "{va:#x}: the guest has {pte:#x}, the table {held:#x}"
        )),
        // Without a table nothing is mapped.
        None if pte & !CHECK_IGNORES == 0 => None,
        None => Some(format!(
            "{va:#x}: the guest has {pte:#x}, there is no table"
        )),
    }
}

/// The L1 entry of an address as it is, present or not; `None` if no L1 covers it.
fn held(memory: &Memory, root: Mfn, va: Vaddr) -> Option<Pte> {
    let at = l1_entry(memory, root, va)?;
    memory.read_u64(at).ok().map(Pte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cpu_and_hypervisor_set_is_not_compared() {
        let expected = |pte| ExpectedPte { va: 0x1000, pte };
        let held = |pte| Some(Pte(pte));
        assert_eq!(mismatch(&expected(0x5003), held(0x10_0000_0000_5167)), None);
        assert!(mismatch(&expected(0x5003), held(0x5001)).is_some());
        assert!(mismatch(&expected(0x5003), None).is_some());
        assert_eq!(mismatch(&expected(0), None), None);
    }
}
