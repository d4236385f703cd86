//! libFuzzer's binary of [`tests::fuzz::image`].
#![no_main]

#[global_allocator]
static PEAK: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

libfuzzer_sys::fuzz_target!(|input: &[u8]| tests::fuzz::image::image(input));
