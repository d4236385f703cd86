//! The virtual state of one vCPU: everything that is not in its registers.
//!
//! Comes in: hypercalls change it. Goes out: the host reads it before each entry (`root`,
//! `gs_base`, `fs_base`, `ts`, `start`), and loads segment bases again when `segments_dirty`.

use super::Regs;
use super::runstate::Runstate;
use super::timers::Timers;
use super::xstate::{CR4_OSXSAVE, X87};
use crate::hypercall::Unfinished;
use crate::hypercall::mmuext::Ldt;
use arrayvec::ArrayVec;
use hypercalls::segment::FIRST_RESERVED_GDT_PAGE;
use hypercalls::trap::{NMI, TrapInfo};
use hypercalls::{Maddr, Mfn, Vaddr};

/// A registered entry point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub address: Vaddr,
    /// Whether upcalls are masked on entry.
    pub masks_events: bool,
}

/// The guest kernel's entry points beside its trap table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Callbacks {
    /// Event upcall.
    pub event: Option<Entry>,
    /// `iret` to a bad frame.
    pub failsafe: Option<Entry>,
    /// `syscall` of 64-bit user mode.
    pub syscall: Option<Entry>,
    /// `syscall` of 32-bit user mode.
    pub syscall32: Option<Entry>,
    /// `sysenter`.
    pub sysenter: Option<Entry>,
}

/// An NMI's way: sent, delivered, over with the next `iret`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nmi {
    /// One was sent.
    pub pending: bool,
    /// One is being handled.
    pub masked: bool,
}

/// The guest's GDT: typed frames, each holding a reference.
#[derive(Clone, Debug, Default)]
pub struct Gdt {
    /// Its frames in order.
    pub frames: ArrayVec<Mfn, { FIRST_RESERVED_GDT_PAGE as usize }>,
    /// Descriptors that count.
    pub entries: u32,
}

/// The I/O permission bitmap: a bit a port in the kernel's memory, clear for those allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortMap {
    /// Where it is.
    pub at: Vaddr,
    /// How many ports it covers; the others are forbidden.
    pub ports: u32,
}

/// What a vCPU that is not running waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Any event that is not masked.
    Event,
    /// One of these ports, or the time.
    Poll {
        /// Ports, masked or not.
        ports: Vec<u32>,
        /// System time in ns to give up at.
        until: Option<u64>,
    },
}

/// How often the same fault has been delivered in a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Streak {
    /// Vector, rip and cr2.
    pub fault: (u8, u64, u64),
    /// Times.
    pub times: u32,
}

/// One vCPU.
#[derive(Clone, Debug)]
pub struct Vcpu {
    /// Whether it runs.
    pub up: bool,
    /// Whether it ever was given a state.
    pub initialised: bool,
    /// The registers it is to begin with; the host takes them when it first runs.
    pub start: Option<Regs>,
    /// Guest kernel, not guest user.
    pub kernel_mode: bool,
    /// The kernel's L4.
    pub kernel_base: Mfn,
    /// The L4 of user mode, if set.
    pub user_base: Option<Mfn>,
    /// Exception handlers by vector; address 0 is none.
    pub traps: Box<[TrapInfo; 256]>,
    /// Other entry points.
    pub callbacks: Callbacks,
    /// Stack selector for entries from user mode.
    pub kernel_ss: u16,
    /// Stack for entries from user mode.
    pub kernel_sp: Vaddr,
    /// FS base.
    pub fs_base: u64,
    /// GS base in kernel mode.
    pub gs_base_kernel: u64,
    /// GS base in user mode.
    pub gs_base_user: u64,
    /// The user's GS selector.
    pub gs_user_sel: u16,
    /// A base or the mode changed since the host last loaded segments; the host clears it.
    pub segments_dirty: bool,
    /// GDT.
    pub gdt: Gdt,
    /// LDT.
    pub ldt: Ldt,
    /// DR0 to DR7; 4 and 5 unused.
    pub debugregs: [u64; 8],
    /// One of them changed since the host last loaded them; the host clears it.
    pub debugregs_dirty: bool,
    /// The guest's CR4 as it reads it.
    pub cr4: u64,
    /// XCR0: the extended state in use.
    pub xcr0: u64,
    /// The I/O privilege, virtual.
    pub iopl: u8,
    /// Which ports user mode may use beside.
    pub ports: PortMap,
    /// CR0.TS: the first use of the FPU is to fault.
    pub ts: bool,
    /// Its NMIs.
    pub nmi: Nmi,
    /// Address of the last page fault.
    pub cr2: u64,
    /// Where its `vcpu_info` is.
    pub info: Maddr,
    /// Whether the guest moved it there.
    pub info_registered: bool,
    /// Where its time is kept up to date too.
    pub time_area: Option<Vaddr>,
    /// Time in each state.
    pub runstate: Runstate,
    /// Timers.
    pub timers: Timers,
    /// What it waits for, if it waits.
    pub wait: Option<Wait>,
    /// Hypercall `iret` was made; the registers follow when its trap is over.
    pub(crate) returning: bool,
    /// A hypercall that was cut short.
    pub(crate) unfinished: Option<Unfinished>,
    /// The last fault delivered, to catch loops.
    pub streak: Streak,
}

impl Vcpu {
    /// A vCPU that is down, its `vcpu_info` at `info`.
    #[must_use]
    pub fn new(info: Maddr) -> Vcpu {
        Vcpu {
            up: false,
            initialised: false,
            start: None,
            kernel_mode: true,
            kernel_base: Mfn(0),
            user_base: None,
            traps: Box::new([TrapInfo::default(); 256]),
            callbacks: Callbacks::default(),
            kernel_ss: 0,
            kernel_sp: Vaddr(0),
            fs_base: 0,
            gs_base_kernel: 0,
            gs_base_user: 0,
            gs_user_sel: 0,
            segments_dirty: true,
            gdt: Gdt::default(),
            ldt: Ldt::default(),
            debugregs: [0, 0, 0, 0, 0, 0, 0xffff_0ff0, 0x400],
            debugregs_dirty: false,
            cr4: 0,
            xcr0: X87,
            iopl: 0,
            ports: PortMap::default(),
            ts: false,
            nmi: Nmi::default(),
            cr2: 0,
            info,
            info_registered: false,
            time_area: None,
            runstate: Runstate::default(),
            timers: Timers::default(),
            wait: None,
            returning: false,
            unfinished: None,
            streak: Streak::default(),
        }
    }

    /// The table to run on now.
    #[must_use]
    pub fn root(&self) -> Mfn {
        match self.user_base {
            Some(user) if !self.kernel_mode => user,
            _ => self.kernel_base,
        }
    }

    /// The GS base to run with now.
    #[must_use]
    pub fn gs_base(&self) -> u64 {
        if self.kernel_mode {
            self.gs_base_kernel
        } else {
            self.gs_base_user
        }
    }

    /// What the host found in the segment bases at an exit: CPL3 code can change them by loading
    /// a selector.
    pub fn observe_bases(&mut self, fs_base: u64, gs_base: u64) {
        self.fs_base = fs_base;
        if self.kernel_mode {
            self.gs_base_kernel = gs_base;
        } else {
            self.gs_base_user = gs_base;
        }
    }

    /// What the host found in DR6 at a #DB. The guest clears it; until then it says so again.
    pub fn observe_dr6(&mut self, dr6: u64) {
        self.debugregs[6] = dr6;
    }

    /// CR4.OSXSAVE: the guest uses extended state.
    #[must_use]
    pub fn osxsave(&self) -> bool {
        self.cr4 & CR4_OSXSAVE != 0
    }

    /// Whether an NMI is due: one that nobody handles waits.
    #[must_use]
    pub fn nmi_due(&self) -> bool {
        let handler = self.traps[usize::from(NMI)].address;
        self.nmi.pending && !self.nmi.masked && handler != 0
    }

    /// From user to kernel mode or back: table and GS base change with it.
    pub fn set_mode(&mut self, kernel: bool) {
        if self.kernel_mode != kernel {
            self.kernel_mode = kernel;
            self.segments_dirty = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_and_gs_base_follow_the_mode() {
        let mut v = Vcpu::new(Maddr(0));
        (v.kernel_base, v.user_base) = (Mfn(5), Some(Mfn(6)));
        v.observe_bases(1, 2);
        v.segments_dirty = false;
        v.set_mode(false);
        v.observe_bases(1, 3);
        assert_eq!((v.root(), v.gs_base(), v.segments_dirty), (Mfn(6), 3, true));
        v.set_mode(true);
        assert_eq!((v.root(), v.gs_base()), (Mfn(5), 2));
    }
}
