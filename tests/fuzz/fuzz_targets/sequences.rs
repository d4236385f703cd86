//! libFuzzer's binary of [`tests::fuzz::sequences`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tests::fuzz::sequences::sequences(input));
