//! HTTP API of kurs.
