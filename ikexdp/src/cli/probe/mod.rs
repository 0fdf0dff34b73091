//! `ikexdp probe`.

mod show;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use humantime::parse_duration;

use super::CliError;
use super::target::{Target, timeout};
use crate::probe::{self, Kind, Plan};

/// What is asked of which gateway, and as whom.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    target: Target,
    /// The client to play: win10, win10-dh2048, win11-ecp384, ios, android or strongswan
    ///
    /// Windows 10 as it comes, which offers modp1024 alone, is the one with which people have most trouble;
    /// win10-dh2048 has NegotiateDH2048_AES256 in its registry, and win11-ecp384 a policy of its own (AES256, SHA384,
    /// ECP384). ios is set up by hand, android is Android's own client, and strongswan is on Linux, with its own
    /// proposals.
    #[arg(
        long = "as",
        value_name = "CLIENT",
        default_value = "win10",
        hide_possible_values = true
    )]
    client: Kind,
    /// Ask for proposals one by one as well, and show which are taken and which of them can be broken
    #[arg(long)]
    policy: bool,
    /// From one proposal to the next
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration, requires = "policy")]
    pace: Duration,
    /// How long each answer may take; requests are repeated after 1 s, 2 s, 4 s and so on
    #[arg(long, value_name = "DURATION", default_value = "7s", value_parser = timeout)]
    timeout: Duration,
    /// Send from this port; below 1024 it takes root
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    source_port: u16,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(options: Options, out: &mut impl Write) -> Result<(), CliError> {
    let address = options.target.resolve()?;
    let json = options.json;
    let plan = Plan {
        host: options.target.host,
        address,
        client: options.client,
        source_port: options.source_port,
        timeout: options.timeout,
        policy: options.policy.then_some(options.pace),
    };
    let mut stderr = io::stderr();
    let is_watched = stderr.is_terminal();
    let report = probe::run(&plan, |done, all| {
        if is_watched {
            // Whoever does not see it has closed the terminal.
            let _ = write!(stderr, "\rproposals: {done} of {all}\x1b[K");
        }
    })?;
    if is_watched {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    if json {
        serde_json::to_writer_pretty(&mut *out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        out.write_all(show::text(&report).as_bytes())?;
    }
    out.flush()?;
    match report.standing().exit_status() {
        0 => Ok(()),
        status => Err(CliError::Found { status }),
    }
}
