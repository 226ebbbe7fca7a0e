//! What a sink counts.

pub use kurs_telemetry::metrics::SinkMetrics;
