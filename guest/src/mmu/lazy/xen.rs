//! The per-CPU lazy mode that x86/Xen kept up to 7.1, as far as the generations share it.

use super::{Bug, Context, CpuLazy, Mode};

/// `enter_lazy` found the mode taken.
pub(crate) const BUG_ENTER: Bug = Bug {
    name: "BUG_ON in enter_lazy (xen_lazy_mode)",
};
/// `leave_lazy` found another mode.
pub(crate) const BUG_LEAVE: Bug = Bug {
    name: "BUG_ON in leave_lazy (xen_lazy_mode)",
};

/// Sets the mode, whatever it was.
pub(crate) fn set(cx: &Context<'_>, mode: Mode) {
    cx.cpu.set(CpuLazy {
        mode,
        ..cx.cpu.get()
    });
}

/// `this_cpu_read(xen_lazy_mode)`.
pub(crate) fn raw(cx: &Context<'_>) -> Mode {
    cx.cpu.get().mode
}

/// `xen_get_lazy_mode`: in an interrupt there is none.
pub(crate) fn mode(cx: &Context<'_>) -> Mode {
    if cx.in_interrupt { Mode::None } else { raw(cx) }
}

/// `enter_lazy`.
pub(crate) fn enter(cx: &Context<'_>, new: Mode) -> Result<(), Bug> {
    let free = raw(cx) == Mode::None;
    // After the BUG the machine goes on, for the next cell: take the mode all the same.
    cx.cpu.set(CpuLazy {
        mode: new,
        nesting: if free { cx.cpu.get().nesting } else { 0 },
    });
    if free { Ok(()) } else { Err(BUG_ENTER) }
}

/// `leave_lazy`.
pub(crate) fn leave(cx: &Context<'_>, old: Mode) -> Result<(), Bug> {
    let right = raw(cx) == old;
    set(cx, Mode::None);
    if right { Ok(()) } else { Err(BUG_LEAVE) }
}
