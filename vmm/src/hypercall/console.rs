//! `console_io`: the emergency console.

use super::{Answer, work};
use crate::domain::Domain;
use hypercalls::console::*;
use hypercalls::{Errno, PAGE_SIZE, Vaddr};

/// Bytes one call may write.
const MAX_WRITE: u64 = 1 << 20;
/// Bytes one call reads at most.
const MAX_READ: u64 = 4096;

/// Writes to or reads from the console.
pub(super) fn console_io(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    let count = u64::from(args[1] as u32);
    let buffer = Vaddr(args[2]);
    match args[0] as u32 {
        CONSOLEIO_WRITE if count > MAX_WRITE => Err(Errno::E2BIG),
        CONSOLEIO_WRITE => write(dom, cpu, buffer, count),
        CONSOLEIO_READ => read(dom, cpu, buffer, count.min(MAX_READ)),
        _ => Err(Errno::ENOSYS),
    }
}

/// Page by page: what precedes a page that cannot be read is written.
fn write(dom: &mut Domain, cpu: usize, buffer: Vaddr, count: u64) -> Answer {
    let mut bytes = [0; PAGE_SIZE as usize];
    let mut done = 0;
    while done < count {
        let at = buffer.add(done);
        let n = (PAGE_SIZE - at.offset()).min(count - done);
        dom.mm.charge(work::bytes(n));
        let chunk = &mut bytes[..n as usize];
        let copied = dom.kernel_view(cpu).copy_in(at, chunk);
        copied.map_err(|_| Errno::EFAULT)?;
        dom.console.write(chunk);
        done += n;
    }
    Ok(0)
}

fn read(dom: &mut Domain, cpu: usize, buffer: Vaddr, count: u64) -> Answer {
    let bytes = dom.console.read(count as usize);
    dom.mm.charge(work::bytes(bytes.len() as u64));
    let copied = dom.kernel_view(cpu).copy_out(buffer, &bytes);
    copied.map_err(|_| Errno::EFAULT)?;
    Ok(bytes.len() as i64)
}
