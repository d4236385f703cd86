//! Linux's boot image: finds the kernel's ELF file in it. Comes in: any file's bytes. Goes out:
//! where the ELF file is, if this is a bzImage that holds one as it is.

use super::ImageError;
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

/// How payloads begin.
const COMPRESSIONS: [(&[u8], &str); 7] = [
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x5d\0\0", "lzma"),
    (b"\x89LZO", "lzo"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
];

/// The range of the ELF file inside a bzImage; `None` for any other file.
pub(super) fn payload(bytes: &[u8]) -> Result<Option<Range<usize>>, ImageError> {
    let Some(header) = header(bytes) else {
        return Ok(None);
    };
    let version = header.version;
    let [minor, major] = version.to_le_bytes();
    if version < PAYLOAD_PROTOCOL {
        return Err(ImageError::OldBzImage { major, minor });
    }
    let range = range(&header, bytes.len() as u64)?;
    match compression(&bytes[range.clone()]) {
        None => Ok(Some(range)),
        Some(compression) => Err(ImageError::CompressedBzImage {
            major,
            minor,
            compression,
        }),
    }
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

/// The name of a payload's compression; `None` if it is an ELF file as it is.
fn compression(payload: &[u8]) -> Option<&'static str> {
    if payload.starts_with(b"\x7fELF") {
        return None;
    }
    let known = COMPRESSIONS
        .iter()
        .find(|(magic, _)| payload.starts_with(magic));
    Some(known.map_or("unknown", |(_, name)| name))
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
        let range = payload(&bytes).expect("readable").expect("a bzImage");
        assert_eq!(&bytes[range], b"\x7fELF and so on");
        assert_eq!(payload(b"\x7fELF"), Ok(None));
    }

    #[test]
    fn compressed_old_and_cut_ones_say_so() {
        let zstd = payload(&bzimage(0x20f, b"\x28\xb5\x2f\xfd..")).expect_err("compressed");
        assert!(
            zstd.to_string().contains("2.15) whose zstd payload"),
            "{zstd}"
        );
        let strange = payload(&bzimage(0x20f, b"????")).expect_err("compressed");
        assert!(strange.to_string().contains("whose unknown payload"));
        assert_eq!(
            payload(&bzimage(0x207, b"")),
            Err(ImageError::OldBzImage { major: 2, minor: 7 })
        );
        let mut cut = bzimage(0x20f, b"\x7fELF and so on");
        cut.truncate(cut.len() - 1);
        assert!(matches!(payload(&cut), Err(ImageError::Truncated { .. })));
    }
}
