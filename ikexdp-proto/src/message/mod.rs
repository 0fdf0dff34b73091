//! Messages: one struct for each request and each response. What a message may
//! contain, and how often, is in the fields.

pub mod auth;
pub mod child;
pub mod create_child;
pub mod eap;
pub mod informational;
pub mod init;
pub mod size_test;
