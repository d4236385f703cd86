//! What kind of trap: the hypercall, and its operation where it is `mmuext_op`.

use hypercalls::Nr;
use hypercalls::mmu::mmuext_name;

/// A hypercall's number and, of `mmuext_op`, the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    nr: Option<Nr>,
    operation: Option<u8>,
    write: bool,
}

impl Kind {
    /// A direct write that was emulated.
    pub const EMULATED_WRITE: Kind = Kind {
        nr: None,
        operation: None,
        write: true,
    };

    /// Hypercall `nr`; `operation` is what the only request of an `mmuext_op` asks for.
    #[must_use]
    pub fn call(nr: u64, operation: Option<u32>) -> Kind {
        let named = operation.filter(|&op| mmuext_name(op).is_some());
        Kind {
            nr: Nr::from_raw(nr),
            operation: named.map(|op| op as u8),
            write: false,
        }
    }

    /// Whether it works on page tables: a multicall's entries say so for it.
    #[must_use]
    pub fn touches_page_tables(self) -> bool {
        matches!(
            self.nr,
            Some(
                Nr::MmuUpdate | Nr::MmuextOp | Nr::UpdateVaMapping | Nr::UpdateVaMappingOtherdomain
            )
        )
    }

    /// Whether it may turn out to.
    #[must_use]
    pub fn may_touch_page_tables(self) -> bool {
        self.touches_page_tables() || self.nr == Some(Nr::Multicall)
    }

    /// The report's words.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self.nr {
            None if self.write => return "emulated write".to_owned(),
            None => return "unknown".to_owned(),
            Some(nr) => nr.name(),
        };
        match self.operation.and_then(|op| mmuext_name(op.into())) {
            Some(operation) => format!("{name}/{operation}"),
            None => name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hypercalls::mmu::MMUEXT_UNPIN_TABLE;

    #[test]
    fn a_kind_is_named_by_call_and_operation() {
        let unpin = Kind::call(Nr::MmuextOp as u64, Some(MMUEXT_UNPIN_TABLE));
        assert_eq!(unpin.name(), "mmuext_op/unpin_table");
        assert_eq!(
            Kind::call(Nr::MmuextOp as u64, Some(99)).name(),
            "mmuext_op"
        );
        assert_eq!(Kind::call(u64::MAX, None).name(), "unknown");
        assert!(unpin.touches_page_tables());
        let multicall = Kind::call(Nr::Multicall as u64, None);
        assert!(multicall.may_touch_page_tables() && !multicall.touches_page_tables());
    }
}
