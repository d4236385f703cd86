//! The hypercall page: 128 stubs of 32 bytes, one a number (`arch-x86/xen-x86_64.h`).

use hypercalls::{Nr, PAGE_SIZE};

const STUB: usize = 32;

/// The page's bytes.
pub(super) fn page() -> Vec<u8> {
    let mut page = vec![0xcc; PAGE_SIZE as usize];
    for (nr, stub) in page.chunks_exact_mut(STUB).enumerate() {
        let code = code(nr as u32);
        stub[..code.len()].copy_from_slice(&code);
    }
    page
}

/// `push %rcx; push %r11; mov $nr,%eax; syscall; pop %r11; pop %rcx; ret`. The `iret` stub does
/// not come back and leaves rax on the stack, where the frame has its place.
fn code(nr: u32) -> Vec<u8> {
    let mut code = vec![0x51, 0x41, 0x53];
    let is_iret = nr == Nr::Iret as u32;
    if is_iret {
        code.push(0x50);
    }
    code.push(0xb8);
    code.extend(nr.to_le_bytes());
    code.extend([0x0f, 0x05]);
    if !is_iret {
        code.extend([0x41, 0x5b, 0x59, 0xc3]);
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_saves_what_syscall_loses() {
        let page = page();
        assert_eq!(page.len(), 4096);
        let stub = &page[32..];
        assert_eq!(stub[..4], [0x51, 0x41, 0x53, 0xb8]);
        assert_eq!(stub[4..10], [1, 0, 0, 0, 0x0f, 0x05]);
        assert_eq!(stub[10..14], [0x41, 0x5b, 0x59, 0xc3]);
        assert_eq!(page[23 * 32 + 3], 0x50);
    }
}
