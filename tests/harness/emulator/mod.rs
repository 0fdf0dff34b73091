//! Clients that cannot run in a test, and what they send, octet for octet where that is known.
//!
//! A [`Profile`](profile::Profile) is a client as data; what it opens with, the daemon's crate has for
//! `ikexdp probe`. The engine's tests write its IKE_SA_INIT request; an [`Emulator`] is one that talks to a gateway over UDP.
//!
//! ```text
//! profile.rs     what a client writes after that, in which order: windows.rs, apple.rs, android.rs
//! connect.rs     IKE_SA_INIT             ─┐
//! auth.rs        IKE_AUTH                 │
//! eap.rs         EAP in between           ├─> exchange.rs ─> line.rs ─> transport.rs
//! rekey.rs       what comes after         ┘   until there    SK, SKF    UDP
//!                                             is an answer
//! proof.rs       who is who               reading.rs, offer.rs: what the strictest of them takes
//! ```

mod android;
mod apple;
mod auth;
mod connect;
mod eap;
mod exchange;
mod line;
mod offer;
pub mod profile;
mod proof;
mod reading;
mod rekey;
mod transport;
mod windows;

pub use self::android::{android, strongswan_app};
pub use self::apple::{ios, macos, macos_14};
pub use self::auth::Granted;
pub use self::connect::Emulator;
pub use self::proof::{Proof, User};
pub use self::transport::Ports;
pub use ikexdp::probe::client::Cipher;

pub use self::windows::{windows, windows_custom, windows_dh2048};
