//! The wire format of RFC 7296 §3.

pub mod iana;
