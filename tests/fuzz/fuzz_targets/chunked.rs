#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| millrun::http::fuzz::chunked(input));
