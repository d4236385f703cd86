//! Grants (XSA-224, 227, 234): a map of a grant into an entry or an address of the guest's choice.

use crate::bare::{Bare, FINE, HERE, PINNED, ZERO};
use hypercalls::{DOMID_SELF, Nr};
use tests::chaos::{Frame, Word};
use tests::runner::Checked;

/// `GNTMAP_device_map`, `host_map`, `application_map`, `contains_pte`: bits 0, 1, 3, 4.
const FLAGS: [u64; 5] = [0x2, 0x3, 0x12, 0x13, 0x1a];

/// XSA-224, XSA-227, XSA-234. `GNTMAP_contains_pte` names the entry to be written, and unmapping
/// names it again. Probes mapping, unmapping and replacing with entries of live tables, of tables
/// that are not in use, of data, of the hypervisor, aligned and not, and every other command: no
/// entry changes, and each element says that there is no such domain or handle.
pub(crate) fn grants_into_entries() -> Checked {
    let mut bare = Bare::with_tables();
    let l1 = Frame::Table(3);
    let before: Vec<u64> = (0..512).map(|slot| bare.entry(l1, slot)).collect();
    let targets = [
        Word::Entry(l1, 5, 0),
        Word::Entry(l1, 5, 3),
        Word::Entry(PINNED[0], 511, 0),
        Word::Entry(Frame::Table(0), 256, 0),
        Word::Entry(Frame::Data(0), 0, 0),
        Word::Entry(Frame::Number(0), 0, 0),
        Word::Raw(u64::MAX),
        Word::Va(Frame::Data(1), 0),
    ];
    for target in targets {
        for flags in FLAGS {
            for domain in [0, 1, 2, u64::from(DOMID_SELF)] {
                // map_grant_ref: address, flags | ref, domain, ...
                let map = [target, Word::Raw(flags), Word::Raw(domain), ZERO];
                let told = bare.call(Nr::GrantTableOp, &map, [ZERO, HERE, Word::Raw(1)]);
                let status = bare.word(Word::Page(0, 16)) >> 16 & 0xffff;
                assert!(
                    told != FINE || status as i16 != 0,
                    "{target:?} {flags:#x} mapped"
                );
            }
        }
        for command in 1..16 {
            let words = [target, target, Word::Raw(0x7_ff0), target];
            for count in [0, 1, 2, 4096, 4097, u64::from(u32::MAX)] {
                let args = [Word::Raw(command), HERE, Word::Raw(count)];
                bare.call(Nr::GrantTableOp, &words, args);
            }
        }
    }
    let after: Vec<u64> = (0..512).map(|slot| bare.entry(l1, slot)).collect();
    assert_eq!(after, before);
    Ok(())
}
