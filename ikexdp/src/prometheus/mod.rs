//! Metrics for Prometheus, for whoever is told where to look.
//!
//! `http.rs` answers, all who ask at about the same time with one page (`shared.rs`); `page.rs` says which metrics there are, `text.rs` how they are
//! written. Labels have values of the configuration and of this program only: a
//! stranger must not be able to make series.

mod http;
mod page;
mod shared;
mod text;

pub use self::http::{ListenError, Server};
pub use self::page::page;

/// The port, unless the configuration says otherwise: none of those that are taken
/// by exporters (9100 to 9999), or registered.
pub const PORT: u16 = 14_500;
