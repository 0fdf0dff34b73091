//! What a configuration would serve, for `ikexdp check`.

use std::fmt::{self, Display};

use ikexdp_proto::config::{Connection, Cookies, RemoteSelectors, Requirement};
use ikexdp_proto::crypto::cert::RevocationPolicy;
use ikexdp_proto::data_plane::Binding;
use ikexdp_proto::pattern::IdentityPattern;

use crate::listed::Listed;
use crate::radius;

use super::networks::Capacity;
use super::{
    CertificateSummary, Loaded, OwnProof, Proof, Proofs, Transport, binding, defence, lifetimes,
    revocation,
};

/// Octets of an IP datagram that hold no part of a message when it is cut: the
/// headers of IPv4 (20), UDP (8), the non-ESP marker (4), IKE (28), SKF (8), and
/// the IV (8), the ICV (16) and the pad length (1) of AES-GCM.
const FRAGMENT_OVERHEAD: usize = 20 + 8 + 4 + 28 + 8 + 8 + 16 + 1;

/// Octets of a CERT payload before its certificate (RFC 7296 §3.6).
const CERT_OVERHEAD: usize = 5;

impl Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = &self.settings.engine;
        self.gateway(f)?;
        writeln!(f, "\ndefence")?;
        self.defence(f)?;
        for (connection, proofs) in engine.connections.iter().zip(&self.proofs) {
            writeln!(f, "\nconnection {}", connection.name)?;
            self.connection(f, connection, proofs)?;
        }
        for pool in &engine.pools {
            writeln!(f, "\npool {}", pool.name)?;
            row(f, "addresses", Capacity(pool))?;
            if !pool.dns.is_empty() {
                row(f, "dns", Listed(&pool.dns))?;
            }
            if !pool.domains.is_empty() {
                row(f, "domains", Listed(&pool.domains))?;
            }
            if !pool.gateway.is_empty() {
                row(f, "gateway", Listed(&pool.gateway))?;
            }
        }
        for table in &self.settings.radius {
            writeln!(f, "\nradius {}", table.settings().name)?;
            radius(f, table.settings())?;
        }
        Ok(())
    }
}

impl Loaded {
    fn gateway(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        writeln!(f, "gateway")?;
        match &settings.transport {
            Transport::Xdp(xdp) => row(
                f,
                "transport",
                format_args!(
                    "xdp on {}, mode {}, transfer {}, IKEv1: {}",
                    xdp.interface, xdp.mode, xdp.transfer, xdp.ikev1
                ),
            )?,
            Transport::Udp => row(f, "transport", "udp")?,
        }
        let fragmentation = settings.engine.fragmentation;
        let how = match (fragmentation.enabled, settings.ip_fragments) {
            (true, false) => "fragmented by IKE",
            (true, true) => "fragmented by IKE, or by IP for peers that cannot",
            (false, false) => "never fragmented",
            (false, true) => "fragmented by IP",
        };
        row(
            f,
            "datagrams",
            format_args!("of {} octets, {how}", fragmentation.datagram_len),
        )?;
        row(f, "algorithms", &settings.engine.ike)?;
        if settings.engine.ike.rsa_sha1 {
            row(f, "signatures", "RSA with SHA-1 as well")?;
        }
        row(f, "data plane", settings.data_plane)?;
        row(f, "control", settings.control_socket.display())?;
        row(f, "state", settings.state_dir.display())?;
        match settings.metrics_address {
            Some(address) => row(f, "metrics", format_args!("on http://{address}/metrics")),
            None => Ok(()),
        }
    }

    fn defence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (defence, gate) = (&self.settings.defence, &self.settings.engine.gate);
        let cookies = defence::Named(gate.cookies);
        match gate.cookies {
            Cookies::Automatic => row(
                f,
                "cookies",
                format_args!(
                    "{cookies}, from {} half-open SAs or {} requests a second on",
                    gate.cookie_threshold, gate.cookie_rate
                ),
            )?,
            Cookies::Always | Cookies::Off => row(f, "cookies", cookies)?,
        }
        let (all, each) = (gate.half_open_max, gate.half_open_per_source);
        row(
            f,
            "half-open",
            format_args!("{all} SAs at most, {each} of a source"),
        )?;
        let (rate, burst) = (gate.init_rate_per_source, gate.init_burst_per_source);
        row(
            f,
            "requests",
            format_args!(
                "{rate} a second of a source, {burst} at once; {} of all with cookies",
                gate.init_rate
            ),
        )?;
        if let Transport::Xdp(_) = self.settings.transport {
            row(f, "sources", format_args!("{} known", defence.sources))?;
        }
        row(f, "node", defence.node)?;
        let (allowed, blocked) = (defence.allow.len(), defence.block.len());
        row(
            f,
            "prefixes",
            format_args!("{allowed} allowed, {blocked} blocked"),
        )
    }

    fn connection(
        &self,
        f: &mut fmt::Formatter<'_>,
        connection: &Connection,
        proofs: &Proofs,
    ) -> fmt::Result {
        row(f, "local", &connection.local_identity)?;
        match &proofs.local {
            OwnProof::SharedKey => row(f, "shows", "a pre-shared key")?,
            OwnProof::Certificates(chains) => {
                for chain in chains {
                    self.chain(f, chain)?;
                }
            }
        }
        let identities: Vec<_> = connection.remote_identities.iter().map(Pattern).collect();
        row(f, "remote", Listed(&identities))?;
        match &proofs.remote {
            Proof::SharedKey => row(f, "must show", "the pre-shared key")?,
            Proof::Certificates(authorities) => row(
                f,
                "must show",
                format_args!("a certificate of {}", Listed(authorities)),
            )?,
            Proof::Eap(methods) => {
                for method in methods {
                    row(f, "must show", method)?;
                }
            }
        }
        if let Requirement::Certificate(anchors) = &connection.requirement
            && anchors.revocation().policy != RevocationPolicy::Off
        {
            row(f, "revocation", revocation::Shown(anchors.revocation()))?;
        }
        row(f, "reaches", Listed(&connection.child.local))?;
        match &connection.child.remote {
            RemoteSelectors::Pool(name) => {
                row(f, "gets", format_args!("an address of pool {name}"))?;
            }
            RemoteSelectors::Fixed(networks) => row(f, "brings", Listed(networks))?,
        }
        let mut scopes = self.settings.dhcp.iter();
        if let Some(scope) = scopes.find(|scope| scope.connection == connection.name) {
            let gateway = scope.gateway;
            row(f, "dhcp", format_args!("answered from {gateway}"))?;
        }
        if connection.child.binding != Binding::default() {
            row(f, "binding", binding::Shown(connection.child.binding))?;
        }
        row(f, "lifetimes", lifetimes::Shown(connection.lifetimes))?;
        row(f, "uniqueness", lifetimes::Named(connection.uniqueness))
    }

    /// The chain, and what it costs on the wire.
    fn chain(&self, f: &mut fmt::Formatter<'_>, chain: &[CertificateSummary]) -> fmt::Result {
        if let Some(leaf) = chain.first() {
            row(f, "shows", leaf)?;
        }
        let octets: usize = chain.iter().map(|certificate| certificate.length).sum();
        let payloads = octets.saturating_add(chain.len().saturating_mul(CERT_OVERHEAD));
        let datagram_len = usize::from(self.settings.engine.fragmentation.datagram_len);
        let room = datagram_len.saturating_sub(FRAGMENT_OVERHEAD).max(1);
        row(
            f,
            "chain",
            format_args!(
                "certificates: {}, octets: {octets}, fragments: at least {}",
                chain.len(),
                payloads.div_ceil(room)
            ),
        )
    }
}

fn radius(f: &mut fmt::Formatter<'_>, table: &radius::Settings) -> fmt::Result {
    row(f, "servers", Listed(&table.servers))?;
    let [timeout, dead_time] = [table.timeout, table.dead_time].map(humantime::format_duration);
    row(
        f,
        "asks",
        format_args!(
            "each {} times, first for {timeout}; passes over silent ones for {dead_time}",
            table.tries
        ),
    )?;
    match table.source_address {
        Some(address) => row(
            f,
            "as",
            format_args!("{} from {address}", table.nas_identifier),
        )?,
        None => row(f, "as", &table.nas_identifier)?,
    }
    if let Some(accounting) = &table.accounting {
        let servers = Listed(&accounting.servers);
        match accounting.interim_interval {
            Some(interval) => row(f, "accounts", format_args!("{servers} every {interval:?}"))?,
            None => row(f, "accounts", servers)?,
        }
    }
    if let Some(disconnect) = &table.disconnect {
        let (listen, clients) = (disconnect.listen, Listed(&disconnect.clients));
        row(f, "disconnect", format_args!("at {listen} for {clients}"))?;
    }
    Ok(())
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    writeln!(f, "  {name:<11}{value}")
}

/// An identity pattern as it is written.
struct Pattern<'a>(&'a IdentityPattern);

impl Display for Pattern<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IdentityPattern::Any => f.write_str("any identity"),
            pattern => write!(f, "{pattern}"),
        }
    }
}
