//! Test kit: fixture loader, fake clock, fault proxy, private processes.
