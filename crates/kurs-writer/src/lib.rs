//! Writer role: sources to pricing to bus, and the recorder to the store.
