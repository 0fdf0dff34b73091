//! Has the keys of one client written, for Wireshark.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use humantime::{format_duration, parse_duration};

use super::{CliError, Daemon};
use crate::control::{Request, call};
use crate::view::Decryption;

/// Whose keys, and for how long.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// The address of the client
    #[arg(required_unless_present = "stop", conflicts_with = "stop")]
    peer: Option<IpAddr>,
    /// How long, at most a day
    #[arg(long = "for", value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    duration: Duration,
    /// Write nobody's any more
    #[arg(long)]
    stop: bool,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) fn execute(options: &Options, out: &mut impl Write) -> Result<(), CliError> {
    let socket = &options.daemon.socket;
    let Some(peer) = options.peer else {
        let was_on: bool = call(socket, &Request::StopDecryption)?;
        let said = if was_on {
            "stopped"
        } else {
            "nobody's keys were written"
        };
        return Ok(writeln!(out, "{said}")?);
    };
    let seconds = options.duration.as_secs();
    let decryption: Decryption = call(socket, &Request::Decrypt { peer, seconds })?;
    let Decryption {
        peer,
        seconds_left,
        directory,
        ..
    } = decryption;
    let duration = format_duration(Duration::from_secs(seconds_left));
    writeln!(
        out,
        "keys of {peer} are written for {duration}: {directory}"
    )?;
    writeln!(
        io::stderr(),
        "hint: keys from before are not kept: `ikexdp rekey` gives an IKE SA that is up, or a CHILD SA, new \
         ones. Wireshark reads both files from the directory of a profile"
    )?;
    Ok(())
}
