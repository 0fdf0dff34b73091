//! The wire format of RFC 7296 §3: decoding borrows from the datagram and
//! consumes all of it, encoding appends.

pub mod header;
pub mod iana;
pub mod payload;
pub mod reader;
pub mod sk;
pub mod writer;
