//! What is done with bytes from outside, one function per kind. See `README.md`.

pub mod config;
pub mod core;
pub mod pricing;
pub mod sources;
pub mod store;
