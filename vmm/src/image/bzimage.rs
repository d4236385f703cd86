//! Linux's boot image: finds the kernel in it. Comes in: any file's bytes. Goes out: the ELF file
//! inside, unpacked if it is compressed, if this is a bzImage.

use super::{ImageError, unpack};
use linux_loader::bootparam::setup_header;
use std::ops::Range;
use vm_memory::ByteValued;

/// Where the setup header lies (`Documentation/arch/x86/boot.rst`).
const SETUP_HEADER: usize = 0x1f1;
/// "HdrS", little-endian.
const HEADER_MAGIC: u32 = 0x5372_6448;
/// The first boot protocol with `payload_offset` and `payload_length`: 2.08.
const PAYLOAD_PROTOCOL: u16 = 0x0208;
const SECTOR: u64 = 512;

/// The ELF file inside a bzImage; `None` for any other file.
pub(super) fn kernel(bytes: &[u8]) -> Result<Option<Vec<u8>>, ImageError> {
    let Some(range) = payload(bytes)? else {
        return Ok(None);
    };
    let payload = &bytes[range];
    if payload.starts_with(b"\x7fELF") {
        return Ok(Some(payload.to_vec()));
    }
    Ok(Some(unpack::unpack(payload)?))
}

/// The range of a bzImage's payload; `None` for any other file.
fn payload(bytes: &[u8]) -> Result<Option<Range<usize>>, ImageError> {
    let Some(header) = header(bytes) else {
        return Ok(None);
    };
    let version = header.version;
    let [minor, major] = version.to_le_bytes();
    if version < PAYLOAD_PROTOCOL {
        return Err(ImageError::OldBzImage { major, minor });
    }
    range(&header, bytes.len() as u64).map(Some)
}

fn header(bytes: &[u8]) -> Option<setup_header> {
    let end = SETUP_HEADER + size_of::<setup_header>();
    let raw = bytes.get(SETUP_HEADER..end)?;
    let mut header = setup_header::default();
    header.as_mut_slice().copy_from_slice(raw);
    (header.boot_flag == 0xaa55 && header.header == HEADER_MAGIC).then_some(header)
}

fn range(header: &setup_header, len: u64) -> Result<Range<usize>, ImageError> {
    // 0 stands for 4, and the boot sector itself comes on top.
    let setup = match header.setup_sects {
        0 => 4,
        n => u64::from(n),
    };
    let start = (setup + 1) * SECTOR + u64::from(header.payload_offset);
    let end = start + u64::from(header.payload_length);
    if end > len {
        let what = "the bzImage's payload".to_owned();
        return Err(ImageError::Truncated {
            what,
            start,
            end,
            len,
        });
    }
    Ok(start as usize..end as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bzimage(version: u16, payload: &[u8]) -> Vec<u8> {
        let mut header = setup_header {
            setup_sects: 1,
            boot_flag: 0xaa55,
            header: HEADER_MAGIC,
            version,
            payload_offset: 16,
            payload_length: payload.len() as u32,
            ..setup_header::default()
        };
        let mut bytes = vec![0; 2 * SECTOR as usize + 16];
        let at = SETUP_HEADER..SETUP_HEADER + size_of::<setup_header>();
        bytes[at].copy_from_slice(header.as_mut_slice());
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn an_uncompressed_payload_is_found() {
        let bytes = bzimage(0x20f, b"\x7fELF and so on");
        let elf = kernel(&bytes).expect("readable").expect("a bzImage");
        assert_eq!(elf, b"\x7fELF and so on");
        assert_eq!(kernel(b"\x7fELF"), Ok(None));
    }

    #[test]
    fn a_compressed_payload_is_unpacked() {
        let packed = b"\x02\x21\x4c\x18\x05\0\0\0\x40\x7fELF\x04\0\0\0";
        let elf = kernel(&bzimage(0x20f, packed)).expect("readable");
        assert_eq!(elf.as_deref(), Some(&b"\x7fELF"[..]));
    }

    #[test]
    fn strange_old_and_cut_ones_say_so() {
        let strange = kernel(&bzimage(0x20f, b"????")).expect_err("no kernel");
        assert!(strange.to_string().contains("begins with 3f 3f 3f 3f"));
        assert_eq!(
            kernel(&bzimage(0x207, b"")),
            Err(ImageError::OldBzImage { major: 2, minor: 7 })
        );
        let mut cut = bzimage(0x20f, b"\x7fELF and so on");
        cut.truncate(cut.len() - 1);
        assert!(matches!(kernel(&cut), Err(ImageError::Truncated { .. })));
    }
}
