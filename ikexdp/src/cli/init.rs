//! `ikexdp init`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;

use super::{CliError, DIRECTORY};
use crate::clock::unix_time;
use crate::host_checks::obstacles;
use crate::init::{Given, Made, find_out, make};
use crate::listed::Listed;
use crate::pki::{Directory, GatewayName};

#[derive(Args, Debug)]
pub(super) struct Options {
    /// By what name or address clients reach the gateway; by default the name of this host if others
    /// may know it, else the address of the interface
    #[arg(long, value_name = "NAME")]
    name: Option<GatewayName>,
    /// The interface that faces the clients; by default that of the default route
    #[arg(long, value_name = "INTERFACE")]
    interface: Option<String>,
    /// Addresses for clients, once for each family; by default private ones at random that nobody
    /// here uses
    #[arg(long = "pool", value_name = "NETWORK")]
    pools: Vec<IpNet>,
    /// The directory of the configuration
    #[arg(long, value_name = "DIRECTORY", default_value = DIRECTORY)]
    directory: PathBuf,
}

pub(super) fn execute(options: Options, out: &mut impl Write) -> Result<(), CliError> {
    let directory = Directory::new(options.directory);
    let facts = find_out(Given {
        name: options.name,
        interface: options.interface,
        pools: options.pools,
    })?;
    let made = make(&directory, facts, unix_time())?;
    report(&directory, &made, out)?;
    writeln!(out, "\nnext:")?;
    next(&directory, &made, out)
}

/// What there is now.
fn report(directory: &Directory, made: &Made, out: &mut impl Write) -> Result<(), CliError> {
    let facts = &made.facts;
    let key = directory.authority_key();
    writeln!(out, "made in {}", directory.path().display())?;
    let (name, until) = (&made.authority, made.authority_expires.day());
    writeln!(out, "  authority     {name}, until {until}")?;
    let (name, until) = (&facts.name, made.gateway_expires.day());
    writeln!(
        out,
        "  gateway       {name}, ECDSA and RSA certificates until {until}"
    )?;
    writeln!(out, "  interface     {}", facts.interface)?;
    writeln!(out, "  pool          {}", Listed(&facts.pools))?;
    match facts.dns.as_slice() {
        [] => writeln!(
            out,
            "  name servers  none found; see `dns` in the configuration"
        )?,
        servers => writeln!(out, "  name servers  {}", Listed(servers))?,
    }
    writeln!(
        out,
        "\nWhoever has {} can make clients, and pretend to them to be anybody: keep it, and its backup, to yourself.",
        key.display()
    )?;
    Ok(())
}

/// What is left to be done.
fn next(directory: &Directory, made: &Made, out: &mut impl Write) -> Result<(), CliError> {
    let facts = &made.facts;
    let mut number = 0_usize;
    let mut step = |text: String| {
        number = number.saturating_add(1);
        writeln!(out, "  {number}. {text}")
    };
    let name = &facts.name;
    step(match (name, made.is_private()) {
        (GatewayName::Host(_), _) => {
            format!("see that {name} leads to this host, for clients everywhere")
        }
        (_, true) => format!(
            "{name} is private: clients elsewhere need a public name or address that leads here; \
             begin again with `--name`, in another directory"
        ),
        (_, false) => format!("clients will know this host as {name}: see that it stays"),
    })?;
    step("let UDP 500 and 4500 in, and through what is in front of this host".to_owned())?;
    for obstacle in obstacles(&made.loaded.settings) {
        step(format!("{obstacle}: {}", obstacle.hint()))?;
    }
    for pool in &facts.pools {
        let family = if pool.addr().is_ipv4() { "ip" } else { "ip6" };
        let interface = &facts.interface;
        step(format!(
            "tell the network behind this host the way to {pool}, or hide it behind this host:\n     \
             nft add table {family} ikexdp\n     \
             nft 'add chain {family} ikexdp out {{ type nat hook postrouting priority srcnat; }}'\n     \
             nft 'add rule {family} ikexdp out oifname \"{interface}\" {family} saddr {pool} {family} daddr != {pool} masquerade'"
        ))?;
    }
    let is_default = directory.path() == DIRECTORY;
    let (config, of) = match is_default {
        true => (String::new(), String::new()),
        false => (
            format!(" --config {}", directory.configuration().display()),
            format!(" --directory {}", directory.path().display()),
        ),
    };
    step(format!("ikexdp check{config}"))?;
    step(match is_default {
        true => "systemctl enable --now ikexdp".to_owned(),
        false => format!("ikexdp run{config}"),
    })?;
    step(format!(
        "ikexdp client add NAME --for windows|apple|android|linux{of}"
    ))?;
    Ok(())
}
