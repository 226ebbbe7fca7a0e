//! Logs, metrics and health of kurs.
