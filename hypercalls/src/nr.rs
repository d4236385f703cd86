//! THE table of hypercalls (`xen.h`, `__HYPERVISOR_*`): number, name, argument count. A row here
//! makes the hypervisor's dispatch fail to compile until it has an arm for it.
//!
//! Convention on x86-64 (`arch-x86/xen-x86_64.h`): `syscall` with the number in rax and the
//! arguments in rdi, rsi, rdx, r10, r8; the result in rax; rcx and r11 are lost.

macro_rules! hypercalls {
    ($($(#[$doc:meta])* $variant:ident = $nr:literal, $name:literal, $args:literal;)*) => {
        /// A hypercall the ABI defines.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Nr { $($(#[$doc])* $variant = $nr,)* }
        impl Nr {
            /// Every hypercall, in the order of the numbers.
            pub const ALL: &'static [Nr] = &[$(Nr::$variant,)*];
            /// The hypercall a guest's rax names.
            #[must_use]
            pub const fn from_raw(raw: u64) -> Option<Nr> {
                match raw { $($nr => Some(Nr::$variant),)* _ => None }
            }
            /// The header's name without its prefix.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Nr::$variant => $name,)* }
            }
            /// How many argument registers it reads.
            #[must_use]
            pub const fn args(self) -> usize {
                match self { $(Nr::$variant => $args,)* }
            }
        }
    };
}

hypercalls! {
    /// Handlers of exceptions and `int n`: (table of `TrapInfo`).
    SetTrapTable = 0, "set_trap_table", 1;
    /// Page-table writes: (`MmuUpdate` array, count, done or null, foreign domain).
    MmuUpdate = 1, "mmu_update", 4;
    /// The GDT's frames: (array of `u64` frame numbers, number of descriptors).
    SetGdt = 2, "set_gdt", 2;
    /// The kernel stack for entries from user mode: (ss, esp).
    StackSwitch = 3, "stack_switch", 2;
    /// Event, failsafe and syscall entry points: (event, failsafe, syscall).
    SetCallbacks = 4, "set_callbacks", 3;
    /// CR0.TS: (set).
    FpuTaskswitch = 5, "fpu_taskswitch", 1;
    /// A debug register: (number, value).
    SetDebugreg = 8, "set_debugreg", 2;
    /// A debug register: (number).
    GetDebugreg = 9, "get_debugreg", 1;
    /// One descriptor of a typed table: (machine address, descriptor).
    UpdateDescriptor = 10, "update_descriptor", 2;
    /// Memory map and reservation: (command, argument).
    MemoryOp = 12, "memory_op", 2;
    /// Several hypercalls in one trap: (`MulticallEntry` array, count).
    Multicall = 13, "multicall", 2;
    /// The L1 entry of a virtual address: (va, entry, flags).
    UpdateVaMapping = 14, "update_va_mapping", 3;
    /// The one-shot timer: (absolute time in ns, 0 to stop).
    SetTimerOp = 15, "set_timer_op", 1;
    /// Version, features, command line: (command, argument).
    XenVersion = 17, "xen_version", 2;
    /// The emergency console: (command, count, buffer).
    ConsoleIo = 18, "console_io", 3;
    /// Grant tables: (command, argument, count).
    GrantTableOp = 20, "grant_table_op", 3;
    /// Emulation modes: (command, type).
    VmAssist = 21, "vm_assist", 2;
    /// The L1 entry of a virtual address, another domain's frame: (va, entry, flags, domain).
    UpdateVaMappingOtherdomain = 22, "update_va_mapping_otherdomain", 4;
    /// Return from an exception: no argument, an `IretContext` on the stack.
    Iret = 23, "iret", 0;
    /// Per-vCPU state and timers: (command, vcpu, argument).
    VcpuOp = 24, "vcpu_op", 3;
    /// FS and GS bases and the user GS selector: (which, base).
    SetSegmentBase = 25, "set_segment_base", 2;
    /// Pins, base pointers and flushes: (`MmuextOp` array, count, done or null, foreign domain).
    MmuextOp = 26, "mmuext_op", 4;
    /// Yield, block, poll, shutdown: (command, argument).
    SchedOp = 29, "sched_op", 2;
    /// Entry points, one at a time: (command, argument).
    CallbackOp = 30, "callback_op", 2;
    /// Event channels: (command, argument).
    EventChannelOp = 32, "event_channel_op", 2;
    /// Interrupt routing and I/O privilege: (command, argument).
    PhysdevOp = 33, "physdev_op", 2;
    /// This project's own (`__HYPERVISOR_arch_7`): -ENOSYS on any other hypervisor. See [`crate::lab`].
    Lab = 55, "xenlet_lab", 4;
}

#[cfg(test)]
mod tests {
    use super::Nr;

    #[test]
    fn numbers_round_trip_and_fit_five_registers() {
        for &nr in Nr::ALL {
            assert_eq!(Nr::from_raw(nr as u64), Some(nr));
            assert!(nr.args() <= 5, "{}", nr.name());
        }
        assert_eq!(Nr::from_raw(40), None);
        assert_eq!(Nr::from_raw(1 << 32 | 1), None);
    }
}
