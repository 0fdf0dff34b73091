//! The tables of which there is one: `gateway`, `log`, `timing`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ikexdp_proto::config::{Fragmentation, Gate, IkeAlgorithms, Timing};
use ikexdp_proto::limits::DATAGRAM_LEN_MIN;
use tracing_subscriber::filter::LevelFilter;

use super::algorithms::choice;
use super::caution::Caution;
use super::context::Context;
use super::fault::Fault;
use super::file::{self, Text};
use super::numbers::{between, duration};
use super::problem::Key;
use super::radius::socket;
use super::settings::{
    DataPlane, Ikev1, LogFormat, LogSettings, Transport, TransportKind, XdpMode, XdpSettings,
    XdpTransfer,
};
use crate::prometheus;
use toml::Spanned;

/// Where commands come from unless the file says otherwise.
pub const CONTROL_SOCKET: &str = "/run/ikexdp/control.sock";

/// Where the daemon keeps its state unless the file says otherwise.
const STATE_DIR: &str = "/var/lib/ikexdp";

/// The MTU of Ethernet: a longer datagram is an IP fragment at the first router.
const DATAGRAM_LEN_MAX: u16 = 1500;

/// What the table `gateway` says.
pub(super) struct Gateway {
    pub(super) transport: Transport,
    pub(super) data_plane: DataPlane,
    pub(super) fragmentation: Fragmentation,
    pub(super) ip_fragments: bool,
    pub(super) gate: Gate,
    pub(super) control_socket: PathBuf,
    pub(super) state_dir: PathBuf,
    pub(super) metrics_address: Option<SocketAddr>,
    pub(super) allow_key_export: bool,
}

pub(super) fn gateway(cx: &mut Context<'_>, table: &file::Gateway) -> Option<Gateway> {
    let key = Key::of("gateway");
    let transport = transport(cx, &key, table);
    let data_plane = match &table.data_plane {
        Some(text) => choice(cx, &key.at("data-plane"), text, &DataPlane::ALL),
        None => Some(DataPlane::Xfrm),
    };
    let fragmentation = fragmentation(cx, &key, table);
    let gate = gate(cx, &key, table);
    let metrics_address = match &table.metrics_address {
        Some(text) => socket(cx, &key.at("metrics-address"), text, prometheus::PORT).map(Some),
        None => Some(None),
    };
    Some(Gateway {
        transport: transport?,
        data_plane: data_plane?,
        fragmentation: fragmentation?,
        ip_fragments: table.ip_fragments.unwrap_or(false),
        gate: gate?,
        control_socket: match &table.control_socket {
            Some(path) => cx.resolve(path),
            None => CONTROL_SOCKET.into(),
        },
        state_dir: match &table.state_dir {
            Some(path) => cx.resolve(path),
            None => STATE_DIR.into(),
        },
        metrics_address: metrics_address?,
        allow_key_export: key_export(cx, &key, table),
    })
}

fn key_export(cx: &mut Context<'_>, key: &Key<'_>, table: &file::Gateway) -> bool {
    let allowed = table.allow_key_export.as_ref().filter(|it| *it.get_ref());
    if let Some(allowed) = allowed {
        let key = key.at("allow-key-export");
        cx.problems
            .caution(&key, allowed.span(), Caution::KeyExport);
    }
    allowed.is_some()
}

fn transport(cx: &mut Context<'_>, key: &Key<'_>, table: &file::Gateway) -> Option<Transport> {
    let mode = match &table.xdp_mode {
        Some(text) => choice(cx, &key.at("xdp-mode"), text, &XdpMode::ALL),
        None => Some(XdpMode::Auto),
    };
    let transfer = match &table.xdp_transfer {
        Some(text) => choice(cx, &key.at("xdp-transfer"), text, &XdpTransfer::ALL),
        None => Some(XdpTransfer::Auto),
    };
    let ikev1 = match &table.ikev1 {
        Some(text) => choice(cx, &key.at("ikev1"), text, &Ikev1::ALL),
        None => Some(Ikev1::Drop),
    };
    let kind = match &table.transport {
        Some(text) => choice(cx, &key.at("transport"), text, &TransportKind::ALL)?,
        None => TransportKind::Xdp,
    };
    match (kind, &table.interface) {
        (TransportKind::Xdp, Some(interface)) => Some(Transport::Xdp(XdpSettings {
            interface: interface.get_ref().clone(),
            mode: mode?,
            transfer: transfer?,
            ikev1: ikev1?,
        })),
        (TransportKind::Xdp, None) => {
            let example = "interface = \"eth0\"";
            let span = table.transport.as_ref().map_or(0..0, Spanned::span);
            let fault = Fault::Missing { example };
            cx.problems.fault(&key.at("interface"), span, fault)
        }
        (TransportKind::Udp, interface) => {
            for (field, text) in [
                ("interface", interface),
                ("xdp-mode", &table.xdp_mode),
                ("xdp-transfer", &table.xdp_transfer),
                ("ikev1", &table.ikev1),
            ] {
                if let Some(text) = text {
                    cx.problems
                        .caution(&key.at(field), text.span(), Caution::OnlyXdp);
                }
            }
            Some(Transport::Udp)
        }
    }
}

fn fragmentation(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    table: &file::Gateway,
) -> Option<Fragmentation> {
    let default = Fragmentation::default();
    let datagram_len = match &table.fragment_size {
        Some(size) => {
            let (min, max) = (DATAGRAM_LEN_MIN.into(), DATAGRAM_LEN_MAX.into());
            let size = between(cx, &key.at("fragment-size"), size, min..=max)?;
            u16::try_from(size).ok()?
        }
        None => default.datagram_len,
    };
    let enabled = table.fragmentation.as_ref();
    if let Some(off) = enabled.filter(|enabled| !enabled.get_ref()) {
        let key = key.at("fragmentation");
        cx.problems
            .caution(&key, off.span(), Caution::NoFragmentation);
    }
    Some(Fragmentation {
        enabled: enabled.map_or(default.enabled, |enabled| *enabled.get_ref()),
        datagram_len,
        ..default
    })
}

/// The longest IKE_SA_INIT response without CERTREQ as an IP datagram, but for
/// the public value in it: over IPv6, with a cipher that is no AEAD.
const INIT_LEN: usize = 256;

/// Warns of a size that IKE_SA_INIT will not keep to.
pub(super) fn consider_init(cx: &mut Context<'_>, table: &file::Gateway, ike: &IkeAlgorithms) {
    let (Some(size), Some(group)) = (
        &table.fragment_size,
        ike.groups.iter().max_by_key(|group| group.public_len()),
    ) else {
        return;
    };
    let length = group.public_len().saturating_add(INIT_LEN);
    if usize::try_from(*size.get_ref()).is_ok_and(|size| size < length) {
        let caution = Caution::InitTooLong {
            group: *group,
            length,
        };
        let key = Key::of("gateway");
        cx.problems
            .caution(&key.at("fragment-size"), size.span(), caution);
    }
}

fn gate(cx: &mut Context<'_>, key: &Key<'_>, table: &file::Gateway) -> Option<Gate> {
    let default = Gate::default();
    let half_open_max = match &table.half_open_max {
        Some(max) if *max.get_ref() == 0 => {
            let fault = Fault::Range {
                value: 0,
                min: 1,
                max: u32::MAX.into(),
            };
            cx.problems
                .fault(&key.at("half-open-max"), max.span(), fault)?
        }
        Some(max) => *max.get_ref(),
        None => default.half_open_max,
    };
    let cookie_threshold = match &table.cookie_threshold {
        Some(threshold) if *threshold.get_ref() >= half_open_max => {
            let value = *threshold.get_ref();
            let fault = Fault::CookiesNever { value };
            cx.problems
                .fault(&key.at("cookie-threshold"), threshold.span(), fault)?
        }
        Some(threshold) => *threshold.get_ref(),
        None => default
            .cookie_threshold
            .min(half_open_max.saturating_sub(1)),
    };
    Some(Gate {
        cookie_threshold,
        half_open_max,
        size_test: table.size_test.unwrap_or(default.size_test),
        ..default
    })
}

pub(super) fn log(cx: &mut Context<'_>, table: &file::Log) -> Option<LogSettings> {
    const LEVELS: [LevelFilter; 5] = [
        LevelFilter::ERROR,
        LevelFilter::WARN,
        LevelFilter::INFO,
        LevelFilter::DEBUG,
        LevelFilter::TRACE,
    ];
    let key = Key::of("log");
    let default = LogSettings::default();
    let level = match &table.level {
        Some(text) => choice(cx, &key.at("level"), text, &LEVELS),
        None => Some(default.level),
    };
    let format = match &table.format {
        Some(text) => choice(cx, &key.at("format"), text, &LogFormat::ALL),
        None => Some(default.format),
    };
    Some(LogSettings {
        level: level?,
        format: format?,
    })
}

/// Where else clients that move find us.
pub(super) fn additional_addresses(
    cx: &mut Context<'_>,
    table: &file::Gateway,
) -> Option<Vec<IpAddr>> {
    let key = Key::of("gateway").at("additional-addresses");
    let addresses = table.additional_addresses.iter().map(|text| {
        let value = text.get_ref();
        let address = value.parse().ok();
        address.or_else(|| {
            let value = value.clone();
            cx.problems
                .fault(&key, text.span(), Fault::Address { value })
        })
    });
    // Every wrong address is reported, not only the first.
    let addresses: Vec<_> = addresses.collect();
    addresses.into_iter().collect()
}

pub(super) fn timing(cx: &mut Context<'_>, table: &file::Timing) -> Option<Timing> {
    let key = Key::of("timing");
    let default = Timing::default();
    let mut duration = |field, text: &Option<Text>, default| match text {
        Some(text) => duration(cx, &key.at(field), text),
        None => Some(default),
    };
    let half_open = duration("half-open", &table.half_open, default.half_open);
    let liveness = duration("liveness", &table.liveness, default.liveness);
    let first_liveness = duration(
        "first-liveness",
        &table.first_liveness,
        default.first_liveness,
    );
    let retransmit = duration("retransmit", &table.retransmit, default.retransmit);
    let nat_keepalive = duration("nat-keepalive", &table.nat_keepalive, default.nat_keepalive);
    let retransmits = match &table.retransmits {
        // A request is doubled that often; beyond, nobody lives to see the end.
        Some(times) => between(cx, &key.at("retransmits"), times, 1..=20)
            .and_then(|times| u8::try_from(times).ok()),
        None => Some(default.retransmits),
    };
    Some(Timing {
        half_open: half_open?,
        liveness: liveness?,
        first_liveness: first_liveness?,
        retransmit: retransmit?,
        retransmits: retransmits?,
        nat_keepalive: nat_keepalive?,
    })
}
