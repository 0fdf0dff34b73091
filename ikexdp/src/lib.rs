//! The daemon and its command line: XDP, AF_XDP, kernel sockets, configuration.

pub mod config;
