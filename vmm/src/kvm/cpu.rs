//! One vCPU: entering the guest at CPL3, and what made it leave.
//!
//! Comes in: [`Regs`] as the guest shall have them, and the L4 to run on. Goes out: an [`Exit`]
//! with the guest's registers as they were at CPL3. Registers travel in the shared `kvm_run`
//! page; only what changed is marked dirty.

use super::flip::Flip;
use super::frame::{self, Frame, Meaning};
use super::install;
use super::kick::Kickable;
use super::layout::{self, HvLayout};
use super::open::HostError;
use super::state::{self, CR0_TS, code_segment, data_segment, thread_segment};
use super::vm::Vm;
use super::{stubs, tsc};
use crate::domain::Regs;
use crate::memory::{BadMaddr, Memory};
use hypercalls::trap::{BP, OF, has_error_code};
use hypercalls::{Maddr, Mfn, PAGE_SIZE, Vaddr};
use kvm_bindings::{Msrs, kvm_debugregs, kvm_msr_entry, kvm_regs, kvm_vcpu_events__bindgen_ty_1};
use kvm_ioctls::{SyncReg, VcpuExit, VcpuFd};

/// Why the guest was left.
#[derive(Debug)]
pub(super) enum Exit {
    /// `syscall` at CPL3; the registers have rip after it.
    Syscall,
    /// An exception at CPL3.
    Exception {
        /// The vector.
        vector: u8,
        /// The CPU's error code, 0 if it pushes none.
        error_code: u64,
        /// CR2, of meaning for #PF.
        cr2: u64,
    },
    /// A kick; the guest is at CPL3 and may be given an upcall.
    Interrupted,
    /// A kick where registers must not be touched: go on and kick again.
    InterruptedBusy,
    /// The store stub is done.
    StoresDone,
    /// The virtual machine cannot go on; what KVM said.
    Dead(String),
}

/// What must happen at the next entry beside loading general registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entering {
    /// Load segments and CR3, not only general registers.
    pub(super) full: bool,
    /// Make KVM flush the TLB.
    pub(super) flush: bool,
}

/// One vCPU and its thread-bound state.
#[derive(Debug)]
pub(super) struct Cpu {
    // Dropped first: it points into `fd`'s mapping.
    _kickable: Kickable,
    fd: VcpuFd,
    layout: HvLayout,
    memory: Memory,
    index: u64,
    shared_tsc: bool,
    flip: Flip,
    xcr0: u64,
    /// CS is CPL3's: only general registers need be loaded.
    at_cpl3: bool,
    /// At the entry stub at CPL0: SYSRET leads back.
    at_sysret: bool,
}

impl Cpu {
    /// Creates vCPU `index` on the calling thread, which alone may use it.
    ///
    /// # Errors
    /// What KVM refused.
    pub(super) fn new(vm: &Vm, index: u64) -> Result<Cpu, HostError> {
        let mut fd = vm
            .fd
            .create_vcpu(index)
            .map_err(HostError::ioctl("create a vCPU"))?;
        fd.set_cpuid2(&vm.cpuid)
            .map_err(HostError::ioctl("set CPUID"))?;
        state::set_msrs(&fd)?;
        fd.set_sync_valid_reg(SyncReg::Register);
        fd.set_sync_valid_reg(SyncReg::SystemRegister);
        let mut sregs = fd
            .get_sregs()
            .map_err(HostError::ioctl("read system registers"))?;
        state::init_sregs(&mut sregs, &vm.layout, index);
        fd.set_sregs(&sregs)
            .map_err(HostError::ioctl("set system registers"))?;
        fd.sync_regs_mut().sregs = sregs;
        let shared_tsc = tsc::share(&fd);
        Ok(Cpu {
            _kickable: Kickable::new(&mut fd),
            fd,
            layout: vm.layout,
            memory: vm.memory.clone(),
            index,
            shared_tsc,
            flip: Flip::default(),
            xcr0: 1,
            at_cpl3: false,
            at_sysret: false,
        })
    }

    /// Loads the guest's state for the next [`Cpu::run`].
    pub(super) fn load(&mut self, regs: &Regs, root: Mfn, bases: (u64, u64), entering: Entering) {
        // SYSRET to an address that is not canonical would fault at CPL0.
        let sysret = self.at_sysret
            && regs.rcx == regs.rip
            && regs.r11 == regs.rflags
            && Vaddr(regs.rip).is_canonical();
        let full = entering.full || entering.flush || !(self.at_cpl3 || sysret);
        if full {
            if entering.flush {
                self.flip.ask();
            }
            let cr3 = self.flip.of(root.maddr().0);
            let compat = regs.is_compat();
            let sregs = &mut self.fd.sync_regs_mut().sregs;
            sregs.cr3 = cr3;
            sregs.cs = code_segment(
                if compat {
                    install::USER_CS32
                } else {
                    install::USER_CS
                },
                3,
            );
            sregs.ss = data_segment(install::USER_SS, 3);
            if compat {
                // 64-bit code does not look at these two.
                sregs.ds = sregs.ss;
                sregs.es = sregs.ss;
            }
            sregs.fs = thread_segment(&sregs.fs, compat, regs.fs, bases.0);
            sregs.gs = thread_segment(&sregs.gs, compat, regs.gs, bases.1);
            self.fd.set_sync_dirty_reg(SyncReg::SystemRegister);
        }
        let at_stub = self.fd.sync_regs().regs.rip;
        let kvm = &mut self.fd.sync_regs_mut().regs;
        *kvm = state::to_kvm(regs);
        if !full && sysret {
            kvm.rip = at_stub;
            kvm.r11 = kvm.rflags;
            kvm.rflags = 1 << 1;
        }
        self.fd.set_sync_dirty_reg(SyncReg::Register);
    }

    /// Runs until the guest is left.
    pub(super) fn run(&mut self) -> Exit {
        loop {
            if let Some(exit) = self.run_once() {
                return exit;
            }
        }
    }

    /// One `KVM_RUN`; `None` if the guest only touched what is not there, or a stub goes on. The next
    /// run completes that access, and ends at once if there was a kick.
    fn run_once(&mut self) -> Option<Exit> {
        let doorbell = self.layout.doorbell().0;
        self.at_cpl3 = false;
        self.at_sysret = false;
        self.flip.entered();
        Some(match self.fd.run() {
            Ok(VcpuExit::MmioWrite(at, _)) if at & !0xfff == doorbell => {
                self.at_cpl3 = self.cpl() == 3;
                Exit::Syscall
            }
            Ok(VcpuExit::IoOut(stubs::HYPERCALL_PORT, [_, _, _, _])) => {
                self.at_sysret = true;
                Exit::Syscall
            }
            Ok(VcpuExit::IoOut(stubs::STORES_DONE_PORT, [_, _, _, _])) => Exit::StoresDone,
            Ok(VcpuExit::IoOut(vector, [_])) if u64::from(vector) < layout::IDT_GATES => {
                return self.exception(vector as u8);
            }
            Ok(VcpuExit::MmioRead(_, data)) => {
                data.fill(0xff);
                return None;
            }
            Ok(VcpuExit::MmioWrite(..)) => return None,
            Ok(VcpuExit::Intr) => self.interrupted(),
            Ok(other) => Exit::Dead(format!("{other:?}")),
            Err(e) if e.errno() == libc::EINTR || e.errno() == libc::EAGAIN => self.interrupted(),
            Err(e) => Exit::Dead(format!("KVM_RUN: {e}")),
        })
    }

    /// One bare `KVM_RUN`; whether it ended in an exit a hypercall makes.
    pub(super) fn run_bare(&mut self) -> bool {
        matches!(
            self.fd.run(),
            Ok(VcpuExit::MmioWrite(..) | VcpuExit::IoOut(..))
        )
    }

    /// The guest's registers at the last exit, over `regs`, which keeps the selectors.
    pub(super) fn save(&self, exit: &Exit, regs: &mut Regs) -> Result<(), BadMaddr> {
        let kvm = self.fd.sync_regs().regs;
        state::from_kvm(&kvm, regs);
        match exit {
            Exit::Syscall => {
                regs.rip = kvm.rcx;
                regs.rflags = kvm.r11;
            }
            Exit::Exception { vector, .. } => {
                let frame = self.frame(*vector)?;
                (regs.rip, regs.rflags, regs.rsp) = (frame.rip, frame.rflags, frame.rsp);
            }
            _ => {}
        }
        Ok(())
    }

    /// Runs the store stub over `stores`, so that the host's shadow page tables notice them. The
    /// caller loads the guest's state in full afterwards.
    ///
    /// # Errors
    /// What made the stub fail; the guest cannot go on then.
    pub(super) fn replay(&mut self, stores: &[(Maddr, u64)], root: Mfn) -> Result<(), String> {
        for chunk in stores.chunks(PAGE_SIZE as usize / 16) {
            let list = self.layout.list(self.index);
            for (i, (at, value)) in chunk.iter().enumerate() {
                let pair = [HvLayout::physmap_va(*at).0, *value];
                self.memory
                    .write_obj(list.maddr().add(16 * i as u64), &pair)
                    .map_err(|e| e.to_string())?;
            }
            self.load_stub(chunk.len() as u64, HvLayout::frame_va(list).0, root);
            loop {
                match self.run() {
                    Exit::StoresDone => break,
                    Exit::InterruptedBusy | Exit::Interrupted => {}
                    other => return Err(format!("store stub left by {other:?}")),
                }
            }
        }
        Ok(())
    }

    fn load_stub(&mut self, count: u64, list: u64, root: Mfn) {
        let cr3 = self.flip.of(root.maddr().0);
        let sregs = &mut self.fd.sync_regs_mut().sregs;
        sregs.cr3 = cr3;
        sregs.cs = code_segment(install::KERNEL_CS, 0);
        sregs.ss = data_segment(install::KERNEL_SS, 0);
        let stub = HvLayout::frame_va(self.layout.stubs()).add(layout::STORE_STUB_OFFSET);
        self.fd.sync_regs_mut().regs = kvm_regs {
            rip: stub.0,
            rsi: list,
            rcx: count,
            rflags: 1 << 1,
            ..kvm_regs::default()
        };
        self.fd.set_sync_dirty_reg(SyncReg::SystemRegister);
        self.fd.set_sync_dirty_reg(SyncReg::Register);
    }

    /// Makes KVM flush the TLB at the next entry, and touches no general register: allowed at any
    /// exit.
    pub(super) fn flush(&mut self) {
        self.flip.ask();
        let flip = self.flip;
        let sregs = &mut self.fd.sync_regs_mut().sregs;
        sregs.cr3 = flip.of(sregs.cr3);
        self.fd.set_sync_dirty_reg(SyncReg::SystemRegister);
    }

    /// Whether the guest's time-stamp counter is the host's own.
    pub(super) fn shared_tsc(&self) -> bool {
        self.shared_tsc
    }

    /// The frequency of the guest's time-stamp counter; 0 where KVM does not tell.
    pub(super) fn tsc_khz(&self) -> u32 {
        self.fd.get_tsc_khz().unwrap_or(0)
    }

    /// The guest's time-stamp counter.
    ///
    /// # Errors
    /// If KVM refuses to read it.
    pub(super) fn tsc(&self) -> Result<u64, HostError> {
        let wanted = [kvm_msr_entry {
            index: state::MSR_TSC,
            ..kvm_msr_entry::default()
        }];
        let mut msrs = Msrs::from_entries(&wanted)
            .map_err(|e| HostError::Unsuitable(format!("list of MSRs: {e:?}")))?;
        self.fd
            .get_msrs(&mut msrs)
            .map_err(HostError::ioctl("read the TSC"))?;
        Ok(msrs.as_slice().first().map_or(0, |entry| entry.data))
    }

    /// Which extended state the guest uses: CR4.OSXSAVE and XCR0. True if CR4 changes, which the
    /// next full load does.
    ///
    /// # Errors
    /// If KVM refuses the value.
    pub(super) fn set_xstate(&mut self, osxsave: bool, xcr0: u64) -> Result<bool, HostError> {
        if xcr0 != self.xcr0 {
            let set = self.fd.set_xcrs(&state::xcrs(xcr0));
            set.map_err(HostError::ioctl("set XCR0"))?;
            self.xcr0 = xcr0;
        }
        let sregs = &mut self.fd.sync_regs_mut().sregs;
        let before = sregs.cr4;
        let bit = if osxsave { state::CR4_OSXSAVE } else { 0 };
        sregs.cr4 = before & !state::CR4_OSXSAVE | bit;
        Ok(sregs.cr4 != before)
    }

    /// Loads the guest's debug registers.
    ///
    /// # Errors
    /// If KVM refuses them.
    pub(super) fn set_debugregs(&self, values: &[u64; 8]) -> Result<(), HostError> {
        let [db @ .., _, _, dr6, dr7] = *values;
        let debugregs = kvm_debugregs {
            db,
            dr6,
            dr7,
            ..kvm_debugregs::default()
        };
        let set = self.fd.set_debug_regs(&debugregs);
        set.map_err(HostError::ioctl("set debug registers"))
    }

    /// DR6: what the last #DB was about.
    ///
    /// # Errors
    /// If KVM does not tell.
    pub(super) fn dr6(&self) -> Result<u64, HostError> {
        let got = self.fd.get_debug_regs();
        let got = got.map_err(HostError::ioctl("read debug registers"))?;
        Ok(got.dr6)
    }

    /// Whether the guest's next use of the FPU is to fault; true if that is a change, which the
    /// next full load makes.
    pub(super) fn set_ts(&mut self, ts: bool) -> bool {
        let sregs = &mut self.fd.sync_regs_mut().sregs;
        let before = sregs.cr0;
        sregs.cr0 = before & !CR0_TS | if ts { CR0_TS } else { 0 };
        sregs.cr0 != before
    }

    /// FS and GS base at the last exit: the guest can change them by loading a selector.
    pub(super) fn bases(&self) -> (u64, u64) {
        let sregs = self.fd.sync_regs().sregs;
        (sregs.fs.base, sregs.gs.base)
    }

    /// The privilege level at the last exit.
    #[must_use]
    pub(super) fn cpl(&self) -> u8 {
        self.fd.sync_regs().sregs.cs.dpl
    }

    fn frame(&self, vector: u8) -> Result<Frame, BadMaddr> {
        let page = self.layout.cpu(self.index).maddr();
        let words: frame::Words = self.memory.read_obj(page.add(frame::offset(vector)))?;
        Ok(words.into())
    }

    fn exception(&mut self, vector: u8) -> Option<Exit> {
        let frame = match self.frame(vector) {
            Ok(frame) => frame,
            Err(e) => return Some(Exit::Dead(e.to_string())),
        };
        let Frame { error, rip, .. } = frame;
        let cr2 = self.fd.sync_regs().sregs.cr2;
        if [BP, OF].contains(&vector)
            && let Err(e) = self.forget_soft()
        {
            return Some(Exit::Dead(format!("exceptions to come: {e}")));
        }
        Some(match frame.meaning(vector) {
            Meaning::Guest => Exit::Exception {
                vector,
                error_code: if has_error_code(vector) { error } else { 0 },
                cr2,
            },
            Meaning::Late => {
                self.go_on(frame);
                return None;
            }
            Meaning::Broken => Exit::Dead(format!(
                "exception {vector} (error {error:#x}, cr2 {cr2:#x}) in the hypervisor's stub at {rip:#x}"
            )),
        })
    }

    /// Back to the stub that an exception interrupted, at the same privilege: it changed nothing else.
    fn go_on(&mut self, frame: Frame) {
        let regs = &mut self.fd.sync_regs_mut().regs;
        (regs.rip, regs.rflags, regs.rsp) = (frame.rip, frame.rflags, frame.rsp);
        self.fd.set_sync_dirty_reg(SyncReg::Register);
    }

    /// After a signal. Writing registers would lose an exception that is still to be delivered.
    fn interrupted(&mut self) -> Exit {
        self.fd.set_kvm_immediate_exit(0);
        let sync = self.fd.sync_regs();
        if sync.sregs.cs.dpl != 3 || sync.regs.rip & !0xfff == layout::BASE.0 {
            return Exit::InterruptedBusy;
        }
        self.at_cpl3 = true;
        match self.fd.get_vcpu_events() {
            Ok(events) if !is_to_come(&events.exception) => Exit::Interrupted,
            _ => Exit::InterruptedBusy,
        }
    }

    /// Has KVM name no soft exception as the last one, now that it is delivered: see [`is_to_come`].
    fn forget_soft(&mut self) -> Result<(), kvm_ioctls::Error> {
        let mut events = self.fd.get_vcpu_events()?;
        events.exception = Default::default();
        self.fd.set_vcpu_events(&events)
    }
}

/// Whether KVM still has to deliver an exception. It does not say so of a soft one, #BP or #OF, as
/// rip is past the instruction already; but it names the last exception there was, and a soft one
/// that was delivered is struck from there. What is behind rip tells nothing: a kernel that patches
/// itself may have taken the `int3` away by now.
fn is_to_come(exception: &kvm_vcpu_events__bindgen_ty_1) -> bool {
    let soft = [BP, OF].contains(&exception.nr);
    exception.injected != 0 || exception.pending != 0 || soft
}

#[cfg(test)]
mod late;
