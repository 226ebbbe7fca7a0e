#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kurs_fuzz::store::packed_rows(bytes));
