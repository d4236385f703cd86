//! `set_trap_table`: the guest kernel's exception handlers.

use super::{Answer, read, work};
use crate::domain::Domain;
use hypercalls::trap::TrapInfo;
use hypercalls::{Errno, Vaddr};

/// Entries read at most: each vector a few times over.
const MAX_ENTRIES: u64 = 1024;

/// Sets the handlers in the table, up to the entry whose address is 0; no table at all clears
/// every handler. Entries before a bad one stay set.
pub(super) fn set_trap_table(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    let table = args[0];
    if table == 0 {
        dom.vcpus[cpu].traps.fill(TrapInfo::default());
        return Ok(0);
    }
    for i in 0..MAX_ENTRIES {
        let at = table.wrapping_add(i * size_of::<TrapInfo>() as u64);
        dom.mm.charge(work::ELEMENT);
        let info: TrapInfo = read(dom, cpu, at)?;
        if info.address == 0 {
            return Ok(0);
        }
        if !Vaddr(info.address).is_canonical() {
            return Err(Errno::EINVAL);
        }
        dom.vcpus[cpu].traps[usize::from(info.vector)] = info;
    }
    Err(Errno::EINVAL)
}
