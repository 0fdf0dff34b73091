//! The NIST curve P-521, which ring does not have; aws-lc does, and could take its place.

pub(super) mod exchange;
pub(super) mod signature;
