//! What a client would meet at a gateway.

pub mod client;
