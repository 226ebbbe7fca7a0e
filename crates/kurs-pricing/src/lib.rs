//! Pricing: priority fail-over, freshness, cross rates; pure.
