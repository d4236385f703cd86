//! `vm_assist`: emulation modes.

use super::Answer;
use crate::domain::Domain;
use hypercalls::Errno;
use hypercalls::vm_assist::*;

/// The modes a 64-bit guest may switch; those for 32-bit guests do nothing.
const KNOWN: [u32; 7] = [
    VMASST_TYPE_4GB_SEGMENTS,
    VMASST_TYPE_4GB_SEGMENTS_NOTIFY,
    VMASST_TYPE_WRITABLE_PAGETABLES,
    VMASST_TYPE_PAE_EXTENDED_CR3,
    VMASST_TYPE_ARCHITECTURAL_IOPL,
    VMASST_TYPE_RUNSTATE_UPDATE_FLAG,
    VMASST_TYPE_M2P_STRICT,
];

/// Switches a mode on or off.
pub(super) fn vm_assist(dom: &mut Domain, args: [u64; 6]) -> Answer {
    let (command, kind) = (args[0] as u32, args[1] as u32);
    if !KNOWN.contains(&kind) {
        return Err(Errno::EINVAL);
    }
    match command {
        VMASST_CMD_ENABLE => dom.assists |= 1 << kind,
        VMASST_CMD_DISABLE => dom.assists &= !(1 << kind),
        _ => return Err(Errno::ENOSYS),
    }
    Ok(0)
}
