//! Test fixture: a domain without a kernel, and memory of its own to put arguments in.

use super::{Domain, Regs, Step};
use crate::hypercall;
use hypercalls::trap::TrapInfo;
use hypercalls::{Errno, Mfn, Nr, PAGE_SIZE, Pfn, Pte, PteFlags, Vaddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A domain in kernel mode with upcalls masked and a stack.
pub(crate) struct Guest {
    pub(crate) dom: Domain,
    pub(crate) regs: Regs,
    pub(crate) next: Pfn,
}

/// What the handler of vector `n` is registered at.
pub(crate) fn handler(n: u8) -> u64 {
    0xffff_ffff_8000_0000 + 0x100 * u64::from(n)
}

impl Guest {
    /// 16 MiB and `cpus` vCPUs, on a clock that stands still.
    pub(crate) fn new(cpus: usize) -> Guest {
        let (mut dom, regs) = Domain::bare(16, cpus).expect("16 MiB are plenty");
        dom.clock = super::Clock::manual();
        let next = dom.layout.boot_stack.add(1);
        Guest { dom, regs, next }
    }

    /// The next free page that is mapped writable.
    pub(crate) fn page(&mut self) -> (Vaddr, Mfn) {
        let pfn = self.next;
        assert!(pfn.0 < self.dom.layout.mapped, "out of mapped pages");
        self.next = pfn.add(1);
        (self.dom.layout.va(pfn), self.dom.first_mfn().add(pfn.0))
    }

    /// Puts a value on pages of its own; its address.
    pub(crate) fn put<T: IntoBytes + Immutable + ?Sized>(&mut self, value: &T) -> u64 {
        let (va, mfn) = self.page();
        for _ in 1..size_of_val(value).div_ceil(PAGE_SIZE as usize) {
            self.page();
        }
        let written = self.dom.memory.write(mfn.maddr(), value.as_bytes());
        written.expect("a page of the guest's");
        va.0
    }

    pub(crate) fn get<T: FromBytes + IntoBytes>(&self, at: u64) -> T {
        let read = self.dom.kernel_view(0).read_obj(Vaddr(at));
        read.expect("mapped")
    }

    pub(crate) fn call(&mut self, nr: Nr, args: &[u64]) -> Result<i64, Step> {
        self.call_on(0, nr, args)
    }

    pub(crate) fn call_on(&mut self, cpu: usize, nr: Nr, args: &[u64]) -> Result<i64, Step> {
        let mut six = [0; 6];
        six[..args.len()].copy_from_slice(args);
        hypercall::call(&mut self.dom, cpu, nr as u64, six)
    }

    /// A call that must succeed.
    #[track_caller]
    pub(crate) fn ok(&mut self, nr: Nr, args: &[u64]) -> i64 {
        let result = self.call(nr, args).expect("returns");
        assert!(result >= 0, "{}: {result}", nr.name());
        result
    }

    /// A call that must fail so.
    #[track_caller]
    pub(crate) fn refused(&mut self, nr: Nr, args: &[u64], errno: Errno) {
        let result = self.call(nr, args).expect("returns");
        assert_eq!(
            Errno::from_ret(result),
            Some(errno),
            "{}: {result}",
            nr.name()
        );
    }

    /// One hypercall by registers, as a trapped `syscall` makes it.
    pub(crate) fn syscall(&mut self, nr: Nr, args: [u64; 2]) -> Step {
        self.regs.rax = nr as u64;
        [self.regs.rdi, self.regs.rsi] = args;
        hypercall::syscall(&mut self.dom, 0, &mut self.regs)
    }

    /// Registers a handler for every vector, `int n` allowed for `dpl` 3 where it says so.
    pub(crate) fn handlers(&mut self, user: &[u8], masking: &[u8]) {
        let table: Vec<TrapInfo> = (0..=255)
            .map(|vector| TrapInfo {
                vector,
                flags: if user.contains(&vector) { 3 } else { 0 }
                    | if masking.contains(&vector) { 4 } else { 0 },
                cs: 0xe033,
                pad: 0,
                address: handler(vector),
            })
            .collect();
        let (half, rest) = table.split_at(200);
        for part in [half, rest] {
            let at = self.put(part);
            self.ok(Nr::SetTrapTable, &[at]);
        }
    }

    /// A user page table with one page of code at its address, loaded for user mode.
    pub(crate) fn user(&mut self, code: &[u8]) -> Vaddr {
        let va = Vaddr(0x40_0000);
        let tables: Vec<(Vaddr, Mfn)> = (0..4).map(|_| self.page()).collect();
        let (_, data) = self.page();
        let written = self.dom.memory.write(data.maddr(), code);
        written.expect("a page of the guest's");
        let flags = PteFlags::PRESENT | PteFlags::RW | PteFlags::USER;
        let chain = tables.iter().skip(1).map(|t| t.1).chain([data]);
        let levels = hypercalls::Level::ALL.into_iter().rev();
        for (((_, table), level), below) in tables.iter().zip(levels).zip(chain) {
            let at = table.entry(va.slot(level));
            let written = self.dom.memory.write_u64(at, Pte::new(below, flags).0);
            written.expect("a page of the guest's");
        }
        for (page, mfn) in &tables {
            let entry = Pte::new(*mfn, PteFlags::PRESENT).0;
            self.ok(Nr::UpdateVaMapping, &[page.0, entry, 2]);
        }
        self.mmuext(hypercalls::mmu::MMUEXT_PIN_L4_TABLE, tables[0].1.0);
        self.mmuext(hypercalls::mmu::MMUEXT_NEW_USER_BASEPTR, tables[0].1.0);
        va
    }

    #[track_caller]
    fn mmuext(&mut self, cmd: u32, arg1: u64) {
        let op = hypercalls::mmu::MmuextOp {
            cmd,
            arg1,
            ..Default::default()
        };
        let at = self.put(&op);
        self.ok(Nr::MmuextOp, &[at, 1, 0, u64::from(hypercalls::DOMID_SELF)]);
    }

    /// Code of the kernel's at rip.
    pub(crate) fn code(&mut self, bytes: &[u8]) {
        self.regs.rip = self.put(bytes);
    }

    pub(crate) fn fault(&mut self, vector: u8, error: u64, cr2: u64) -> Step {
        crate::trap::exception(&mut self.dom, 0, &mut self.regs, vector, error, cr2)
    }

    /// Every reference is where the rules say.
    #[track_caller]
    pub(crate) fn recount(&self) {
        assert_eq!(self.dom.recount(), []);
    }
}
