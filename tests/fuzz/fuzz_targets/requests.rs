//! libFuzzer's binary of [`tests::fuzz::requests`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tests::fuzz::requests::requests(input));
