//! Reader role: bus and store to a view of all rates that is cheap to read.
