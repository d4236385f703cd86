//! Names of the operations that share a hypercall's number: what a counter or a log calls them.

use crate::Nr;
use crate::callback::*;
use crate::console::*;
use crate::event::*;
use crate::grant_table::*;
use crate::lab::*;
use crate::memory::*;
use crate::mmu::mmuext_name;
use crate::physdev::*;
use crate::sched::*;
use crate::vcpu::*;
use crate::version::*;
use crate::vm_assist::*;

/// Whether hypercall `nr` does one of several things, by its first argument.
#[must_use]
pub const fn has_operations(nr: Nr) -> bool {
    matches!(
        nr,
        Nr::MemoryOp
            | Nr::XenVersion
            | Nr::ConsoleIo
            | Nr::GrantTableOp
            | Nr::VmAssist
            | Nr::VcpuOp
            | Nr::SchedOp
            | Nr::CallbackOp
            | Nr::EventChannelOp
            | Nr::PhysdevOp
            | Nr::Lab
    )
}

/// An operation's name in its header, without the prefix and in small letters. `None` for hypercalls
/// that do one thing only, and for numbers without meaning.
#[must_use]
pub const fn operation_name(nr: Nr, operation: u32) -> Option<&'static str> {
    Some(match (nr, operation) {
        (Nr::MmuextOp, operation) => return mmuext_name(operation),
        (Nr::MemoryOp, XENMEM_MAXIMUM_RAM_PAGE) => "maximum_ram_page",
        (Nr::MemoryOp, XENMEM_CURRENT_RESERVATION) => "current_reservation",
        (Nr::MemoryOp, XENMEM_MAXIMUM_RESERVATION) => "maximum_reservation",
        (Nr::MemoryOp, XENMEM_MEMORY_MAP) => "memory_map",
        (Nr::MemoryOp, XENMEM_MACHPHYS_MAPPING) => "machphys_mapping",
        (Nr::XenVersion, XENVER_VERSION) => "version",
        (Nr::XenVersion, XENVER_EXTRAVERSION) => "extraversion",
        (Nr::XenVersion, XENVER_COMPILE_INFO) => "compile_info",
        (Nr::XenVersion, XENVER_CAPABILITIES) => "capabilities",
        (Nr::XenVersion, XENVER_CHANGESET) => "changeset",
        (Nr::XenVersion, XENVER_PLATFORM_PARAMETERS) => "platform_parameters",
        (Nr::XenVersion, XENVER_GET_FEATURES) => "get_features",
        (Nr::XenVersion, XENVER_PAGESIZE) => "pagesize",
        (Nr::XenVersion, XENVER_GUEST_HANDLE) => "guest_handle",
        (Nr::XenVersion, XENVER_COMMANDLINE) => "commandline",
        (Nr::ConsoleIo, CONSOLEIO_WRITE) => "write",
        (Nr::ConsoleIo, CONSOLEIO_READ) => "read",
        (Nr::GrantTableOp, GNTTABOP_MAP_GRANT_REF) => "map_grant_ref",
        (Nr::GrantTableOp, GNTTABOP_UNMAP_GRANT_REF) => "unmap_grant_ref",
        (Nr::GrantTableOp, GNTTABOP_SETUP_TABLE) => "setup_table",
        (Nr::GrantTableOp, GNTTABOP_TRANSFER) => "transfer",
        (Nr::GrantTableOp, GNTTABOP_COPY) => "copy",
        (Nr::GrantTableOp, GNTTABOP_QUERY_SIZE) => "query_size",
        (Nr::GrantTableOp, GNTTABOP_UNMAP_AND_REPLACE) => "unmap_and_replace",
        (Nr::GrantTableOp, GNTTABOP_SET_VERSION) => "set_version",
        (Nr::GrantTableOp, GNTTABOP_GET_STATUS_FRAMES) => "get_status_frames",
        (Nr::GrantTableOp, GNTTABOP_GET_VERSION) => "get_version",
        (Nr::VmAssist, VMASST_CMD_ENABLE) => "enable",
        (Nr::VmAssist, VMASST_CMD_DISABLE) => "disable",
        (Nr::VcpuOp, VCPUOP_INITIALISE) => "initialise",
        (Nr::VcpuOp, VCPUOP_UP) => "up",
        (Nr::VcpuOp, VCPUOP_DOWN) => "down",
        (Nr::VcpuOp, VCPUOP_IS_UP) => "is_up",
        (Nr::VcpuOp, VCPUOP_GET_RUNSTATE_INFO) => "get_runstate_info",
        (Nr::VcpuOp, VCPUOP_REGISTER_RUNSTATE_MEMORY_AREA) => "register_runstate_memory_area",
        (Nr::VcpuOp, VCPUOP_SET_PERIODIC_TIMER) => "set_periodic_timer",
        (Nr::VcpuOp, VCPUOP_STOP_PERIODIC_TIMER) => "stop_periodic_timer",
        (Nr::VcpuOp, VCPUOP_SET_SINGLESHOT_TIMER) => "set_singleshot_timer",
        (Nr::VcpuOp, VCPUOP_STOP_SINGLESHOT_TIMER) => "stop_singleshot_timer",
        (Nr::VcpuOp, VCPUOP_REGISTER_VCPU_INFO) => "register_vcpu_info",
        (Nr::VcpuOp, VCPUOP_SEND_NMI) => "send_nmi",
        (Nr::VcpuOp, VCPUOP_REGISTER_VCPU_TIME_MEMORY_AREA) => "register_vcpu_time_memory_area",
        (Nr::SchedOp, SCHEDOP_YIELD) => "yield",
        (Nr::SchedOp, SCHEDOP_BLOCK) => "block",
        (Nr::SchedOp, SCHEDOP_SHUTDOWN) => "shutdown",
        (Nr::SchedOp, SCHEDOP_POLL) => "poll",
        (Nr::CallbackOp, CALLBACKOP_REGISTER) => "register",
        (Nr::CallbackOp, CALLBACKOP_UNREGISTER) => "unregister",
        (Nr::EventChannelOp, EVTCHNOP_BIND_INTERDOMAIN) => "bind_interdomain",
        (Nr::EventChannelOp, EVTCHNOP_BIND_VIRQ) => "bind_virq",
        (Nr::EventChannelOp, EVTCHNOP_BIND_PIRQ) => "bind_pirq",
        (Nr::EventChannelOp, EVTCHNOP_CLOSE) => "close",
        (Nr::EventChannelOp, EVTCHNOP_SEND) => "send",
        (Nr::EventChannelOp, EVTCHNOP_STATUS) => "status",
        (Nr::EventChannelOp, EVTCHNOP_ALLOC_UNBOUND) => "alloc_unbound",
        (Nr::EventChannelOp, EVTCHNOP_BIND_IPI) => "bind_ipi",
        (Nr::EventChannelOp, EVTCHNOP_BIND_VCPU) => "bind_vcpu",
        (Nr::EventChannelOp, EVTCHNOP_UNMASK) => "unmask",
        (Nr::EventChannelOp, EVTCHNOP_RESET) => "reset",
        (Nr::EventChannelOp, EVTCHNOP_INIT_CONTROL) => "init_control",
        (Nr::PhysdevOp, PHYSDEVOP_SET_IOPL) => "set_iopl",
        (Nr::PhysdevOp, PHYSDEVOP_SET_IOBITMAP) => "set_iobitmap",
        (Nr::Lab, LAB_ATTACH) => "attach",
        (Nr::Lab, LAB_BEGIN) => "begin",
        (Nr::Lab, LAB_END) => "end",
        (Nr::Lab, LAB_CHECK) => "check",
        (Nr::Lab, LAB_RESULT) => "result",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_named_by_call_and_number() {
        assert_eq!(operation_name(Nr::SchedOp, 2), Some("shutdown"));
        assert_eq!(operation_name(Nr::VcpuOp, 10), Some("register_vcpu_info"));
        assert_eq!(operation_name(Nr::MmuextOp, 5), Some("new_baseptr"));
        assert_eq!(operation_name(Nr::SchedOp, 99), None);
    }

    #[test]
    fn who_has_names_has_operations() {
        for &nr in Nr::ALL {
            let named = (0..64).any(|op| operation_name(nr, op).is_some());
            assert_eq!(named, has_operations(nr) || nr == Nr::MmuextOp, "{nr:?}");
        }
    }
}
