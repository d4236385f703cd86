//! Each compression once, made by the tool Linux's build uses, and each way to be wrong.

use super::*;

const LINE: &str = "the payload\n";
const GZIP: &str = "1f8b08000000000002032bc948552848acccc94f4ce12a21910d00ab442d503c000000";
const REST: [(&str, &str); 6] = [
    (
        "bzip2",
        "425a683931415926535951b0bbf600001b5180001040002644c42020003100d34d022a0647a9a4da5a75292\
         d3c9122448949f17724538509051b0bbf60",
    ),
    (
        "xz",
        "fd377a585a0000016922de3602010400210110008b216f49e0003b00135d003a1a08ce76be727d2b350d405\
         c87a55a48c0000000ab442d5000012b3cc53499799042990d010000000001595a",
    ),
    (
        "lzma",
        "5d00000004ffffffffffffffff003a1a08ce76be727d2b350d405c87a562378bfffffc454000",
    ),
    (
        "lz4",
        "02214c1816000000cf746865207061796c6f61640a0c0018506c6f61640a",
    ),
    (
        "zstd",
        "28b52ffd048895000060746865207061796c6f61640a01003d2a4944c41102",
    ),
    // lzop -9 with an Adler-32 of the unpacked bytes: 12 literals, 48 bytes from 12 back, end.
    (
        "lzo",
        "894c5a4f000d0a1a0a104020a009400309030000010000000000000000000000000000000000\
         0000003c00000014000000001d746865207061796c6f61640a200f2c0011000000000000",
    ),
];

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .map(|c| c.to_digit(16).expect("a digit") as u8)
        .collect();
    digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()
}

fn with_trailer(hex: &str, len: u32) -> Vec<u8> {
    let mut payload = bytes(hex);
    payload.extend(len.to_le_bytes());
    payload
}

#[test]
fn each_compression_unpacks() {
    let text = LINE.repeat(5).into_bytes();
    assert_eq!(unpack(&bytes(GZIP)), Ok(text.clone()));
    for (name, hex) in REST {
        assert_eq!(unpack(&with_trailer(hex, 60)), Ok(text.clone()), "{name}");
    }
}

#[test]
fn the_length_trailer_is_checked() {
    for (name, hex) in REST {
        for said in [59, 61] {
            let error = unpack(&with_trailer(hex, said)).expect_err(name);
            assert!(
                matches!(error, UnpackError::Length { .. }),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn cut_payloads_are_damaged_or_too_short() {
    for (name, hex) in REST {
        for cut in [2, 20, 40] {
            let hex = &hex[..hex.len() - cut];
            assert!(
                unpack(&with_trailer(hex, 60)).is_err(),
                "{name} cut by {cut}"
            );
        }
    }
    assert!(unpack(&bytes(&GZIP[..40])).is_err());
    assert_eq!(unpack(b"\x1f\x8b\x08"), Err(UnpackError::Short(3)));
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let error = unpack(&with_trailer(REST[0].1, 0x4000_0001)).expect_err("too large");
    assert_eq!(
        error.to_string(),
        "the bzImage's bzip2 payload says it unpacks to 1073741825 bytes, more than 1 GiB"
    );
}

#[test]
fn what_is_unknown_is_shown() {
    let error = unpack(b"PK\x03\x04....").expect_err("a zip file");
    assert_eq!(
        error.to_string(),
        "the bzImage's payload begins with 50 4b 03 04 2e 2e: no compression that is known"
    );
}

#[test]
fn bytes_of_one_compression_after_the_magic_of_another_are_damage() {
    let mut payload = with_trailer(REST[0].1, 60);
    payload[..6].copy_from_slice(b"\xfd7zXZ\0");
    assert!(matches!(
        unpack(&payload),
        Err(UnpackError::Damaged {
            compression: "xz",
            ..
        })
    ));
}
