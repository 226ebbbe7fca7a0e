#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kurs_fuzz::sources::candle_page(bytes));
