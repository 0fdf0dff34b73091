//! The NIST curve P-521, which ring does not have.

pub(super) mod exchange;
pub(super) mod signature;
