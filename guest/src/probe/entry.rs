//! Where the hypervisor enters the guest, and with which segments: entry points, stacks, bases.

use super::fixture::Fixture;
use super::{Answer, Probe, row};
use hypercalls::Nr;
use hypercalls::callback::{
    CALLBACKOP_REGISTER, CALLBACKOP_UNREGISTER, CALLBACKTYPE_EVENT, CALLBACKTYPE_NMI,
};
use hypercalls::segment::{SEGBASE_FS, SEGBASE_GS_KERNEL, SEGBASE_GS_USER, SEGBASE_GS_USER_SEL};
use hypercalls::trap::FLAT_DS;

/// The lowest address that is not canonical.
const BAD: u64 = 1 << 47;

fn register(f: &Fixture<'_>, kind: u64, address: u64) -> Answer {
    f.put(&[kind, address]);
    f.call(
        Nr::CallbackOp,
        [CALLBACKOP_REGISTER.into(), f.requests().0, 0, 0, 0],
    )
}

fn base(f: &Fixture<'_>, which: u32, base: u64) -> Answer {
    f.call(Nr::SetSegmentBase, [which.into(), base, 0, 0, 0])
}

pub(super) const ROWS: [Probe; 22] = [
    row("callback_not_canonical", |f| {
        register(f, CALLBACKTYPE_EVENT.into(), BAD)
    }),
    row("callback_unknown_type", |f| register(f, 6, 0x1000)),
    row("callback_unknown_type_not_canonical", |f| {
        register(f, 6, BAD)
    }),
    row("callback_unknown_command", |f| {
        f.call(Nr::CallbackOp, [2, f.requests().0, 0, 0, 0])
    }),
    row("callback_not_mapped", |f| {
        f.call(Nr::CallbackOp, [0, f.no_l1().0, 0, 0, 0])
    }),
    row("callback_unregister_event", |f| {
        f.put(&[CALLBACKTYPE_EVENT.into()]);
        f.call(
            Nr::CallbackOp,
            [CALLBACKOP_UNREGISTER.into(), f.requests().0, 0, 0, 0],
        )
    }),
    row("callback_unregister_nmi", |f| {
        f.put(&[CALLBACKTYPE_NMI.into()]);
        f.call(
            Nr::CallbackOp,
            [CALLBACKOP_UNREGISTER.into(), f.requests().0, 0, 0, 0],
        )
    }),
    row("callbacks_not_canonical", |f| {
        f.call(Nr::SetCallbacks, [BAD, BAD, BAD, 0, 0])
    }),
    row("stack_bad_address", |f| {
        f.call(Nr::StackSwitch, [FLAT_DS.into(), BAD, 0, 0, 0])
    }),
    row("stack_null_selector", |f| {
        f.call(Nr::StackSwitch, [0, 0x1000, 0, 0, 0])
    }),
    row("base_fs", |f| base(f, SEGBASE_FS, 0)),
    row("base_fs_not_canonical", |f| base(f, SEGBASE_FS, BAD)),
    row("base_gs_user_not_canonical", |f| {
        base(f, SEGBASE_GS_USER, BAD)
    }),
    row("base_gs_kernel_not_canonical", |f| {
        base(f, SEGBASE_GS_KERNEL, BAD)
    }),
    row("base_gs_selector_null", |f| base(f, SEGBASE_GS_USER_SEL, 0)),
    row("base_gs_selector_bad", |f| {
        base(f, SEGBASE_GS_USER_SEL, 0x1003)
    }),
    row("base_unknown", |f| base(f, 4, 0)),
    row("base_unknown_not_canonical", |f| base(f, 4, BAD)),
    row("assist_unknown_type", |f| {
        f.call(Nr::VmAssist, [0, 60, 0, 0, 0])
    }),
    row("assist_unknown_command", |f| {
        f.call(Nr::VmAssist, [2, 2, 0, 0, 0])
    }),
    row("assist_unknown_both", |f| {
        f.call(Nr::VmAssist, [2, 60, 0, 0, 0])
    }),
    row("assist_type_beyond_64", |f| {
        f.call(Nr::VmAssist, [0, 66, 0, 0, 0])
    }),
];
