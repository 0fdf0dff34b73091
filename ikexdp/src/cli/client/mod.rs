//! `ikexdp client`.

mod add;
mod list;
mod revoke;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::slice;

use clap::{Args, Subcommand};
use ikexdp_proto::crypto::cert::TrustAnchors;

pub use add::AddError;

use super::{CliError, DIRECTORY};
use crate::control::{ClientError, Request, call};
use crate::pki::Authority;
use crate::view::Reloaded;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a client, and write what its platform imports
    ///
    /// It gets a certificate and a key, or with `--eap` a user name and a password. What protects the
    /// key, or is the password, is shown once and kept nowhere.
    Add(add::Options),
    /// Show the clients
    List {
        /// Write JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Let a client in no more, and close its IKE SAs
    ///
    /// The CRL is made anew, or the user taken out; if the daemon runs, it takes that at once.
    Revoke(revoke::Options),
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Daemon {
    /// The control socket of the daemon; by default that of the configuration
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Place {
    /// The directory of the configuration
    #[arg(long, value_name = "DIRECTORY", default_value = DIRECTORY)]
    directory: PathBuf,
}

pub(super) fn execute(command: Command, out: &mut impl Write) -> Result<(), CliError> {
    match command {
        Command::Add(options) => add::execute(options, out),
        Command::List { json, place } => list::execute(json, place, out),
        Command::Revoke(options) => revoke::execute(options, out),
    }
}

/// `authority` and no other, as connections trust it.
fn own(authority: &Authority) -> Option<TrustAnchors> {
    TrustAnchors::new(slice::from_ref(&authority.der)).ok()
}

/// Whether `own`, our authority, is one of `anchors`.
fn trust(anchors: &TrustAnchors, own: &TrustAnchors) -> bool {
    let mut own = own.hashes().iter();
    own.any(|hash| anchors.hashes().contains(hash))
}

/// Has the daemon read what was written.
fn reload(socket: &Path) -> Result<(), ClientError> {
    let reloaded: Reloaded = call(socket, &Request::Reload)?;
    for caution in reloaded.cautions {
        // Standard error is where this belongs, and nowhere else is.
        let _ = writeln!(io::stderr(), "warning: {caution}");
    }
    Ok(())
}
