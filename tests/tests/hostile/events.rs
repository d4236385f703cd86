//! Event channels' numbers (XSA-188, 221, 317, 343): ports, vCPUs and interrupts beyond what there is.

use crate::bare::{Bare, FINE, HERE, ZERO};
use hypercalls::Nr;
use hypercalls::event::*;
use tests::chaos::Word;
use tests::runner::Checked;

/// XSA-188, XSA-221, XSA-317, XSA-343. A number is an index into something. Probes every command
/// with every border as port, vCPU, interrupt and domain, on ports that are closed, bound, and
/// reset while pending: an error or an answer, never a panic, and nothing is bound that cannot be.
pub(crate) fn numbers_beyond_the_end() -> Checked {
    let ports = u64::from(NR_EVENT_CHANNELS);
    let borders = [
        0,
        1,
        2,
        3,
        31,
        32,
        63,
        64,
        ports - 1,
        ports,
        ports + 1,
        1 << 31,
        u64::MAX,
    ];
    let mut bare = Bare::new();
    let bound = bare.guest.dom.events.bound().count();
    for command in 0..16 {
        for first in borders {
            for second in borders {
                // Structures of 32-bit words: both halves of the first word, then the second.
                for word in [first | second << 32, second | first << 32] {
                    let words = [Word::Raw(word), Word::Raw(second), Word::Raw(first)];
                    let args = [Word::Raw(command), HERE, ZERO];
                    bare.call(Nr::EventChannelOp, &words, args);
                    if command == u64::from(EVTCHNOP_BIND_IPI) {
                        bare.call(Nr::EventChannelOp, &words, [Word::Raw(10), HERE, ZERO]);
                    }
                }
            }
        }
    }
    let now = bare.guest.dom.events.bound().count();
    assert!(now < bound + 200, "{now} ports are bound");
    closes_while_pending(&mut bare);
    Ok(())
}

/// A port is closed and given out again while its event is pending and masked.
fn closes_while_pending(bare: &mut Bare) {
    for _ in 0..3 {
        let op = |command: u32| [Word::Raw(u64::from(command)), HERE, ZERO];
        assert_eq!(
            bare.call(Nr::EventChannelOp, &[ZERO], op(EVTCHNOP_BIND_IPI)),
            FINE
        );
        let port = Word::Raw(bare.word(Word::Page(0, 0)) >> 32);
        for command in [EVTCHNOP_SEND, EVTCHNOP_CLOSE, EVTCHNOP_SEND, EVTCHNOP_CLOSE] {
            bare.call(Nr::EventChannelOp, &[port], op(command));
        }
        bare.call(Nr::EventChannelOp, &[Word::Raw(0x7ff0)], op(EVTCHNOP_RESET));
    }
}
