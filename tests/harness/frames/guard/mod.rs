//! What the guard makes of sequences of frames: listed prefixes, SPIs, cookies, and
//! rates that never come back while a test runs.

mod rates;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::packet::Packet;
use ikexdp_common::address::Address;
use ikexdp_common::cookie::CookieSecrets;
use ikexdp_common::filter::AddressFilter;
use ikexdp_common::guard::Listing;
use ikexdp_common::limit::{Limits, Rate};
use ikexdp_common::maps::{Config, Cookies};
use ikexdp_common::spi::SpiSecrets;
use ikexdp_common::verdict::Verdict::{self, *};

use super::FRAME_MAX;
use super::host::{Told, secrets};
use super::table::{BROADCAST, CUSTOMER, OURS_V4, OURS_V6, SERVICE};

/// A stranger.
pub const PEER_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// The same, in the other family.
pub const PEER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 2);

/// Somebody else's gateway, of that family.
const OTHERS_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xfe, 0, 0, 0, 0, 9);

/// The initiator's SPI in all of them.
const SPI: u64 = 0x1122_3344_5566_7788;

// Payload types (RFC 7296 §3.2).
const SA: u8 = 33;
const KE: u8 = 34;
const NONCE: u8 = 40;
const NOTIFY: u8 = 41;
const VENDOR: u8 = 43;

const NONCE_DATA: [u8; 32] = [0xa5; 32];

/// Frames one after the other, and what becomes of each.
pub struct Case {
    /// What it is about.
    pub name: &'static str,
    /// The gateway.
    pub told: Told,
    /// What comes, and what becomes of it.
    pub frames: Vec<(Packet, Verdict)>,
}

/// Every sequence.
#[must_use]
pub fn cases() -> Vec<Case> {
    let parts = [
        challenges(),
        cookies(),
        chains(),
        rates::rates(),
        rates::whom_they_are_for(),
        spis(),
        versions(),
        lists(),
        all_of_a_family(),
    ];
    parts.into_iter().flatten().collect()
}

/// Every configuration that matters to frames that are drawn.
#[must_use]
pub fn configurations() -> Vec<Told> {
    let mut told: Vec<_> = cases().into_iter().map(|case| case.told).collect();
    told.dedup_by_key(|told| format!("{told:?}"));
    told
}

/// Limits of each source only.
fn each(source: Rate) -> Limits {
    Limits {
        source,
        total: Rate::default(),
    }
}

/// A request of IKE_SA_INIT from `address`.
#[must_use]
pub fn no_cookie(address: IpAddr) -> Packet {
    from(address, 500, request(&plain()))
}

fn cookie(address: IpAddr) -> Packet {
    from(address, 500, request(&good_for(address)))
}

fn case(name: &'static str, told: Told, frames: Vec<(Packet, Verdict)>) -> Case {
    Case { name, told, frames }
}

/// A token at first, and so many more; none comes back within hours.
fn once_and(more: u64) -> Rate {
    const HOURS: u64 = 10 * 3600 * 1_000_000_000;

    Rate {
        interval: HOURS,
        ahead: HOURS * more,
    }
}

fn config(cookies: Cookies) -> Config {
    Config {
        frame_max: FRAME_MAX,
        cookies,
        ..Config::default()
    }
}

fn told(config: Config) -> Told {
    Told {
        config,
        ..Told::default()
    }
}

fn always() -> Told {
    told(config(Cookies::Always))
}

/// An IKE_SA_INIT request of these payloads.
fn request(payloads: &[(u8, Vec<u8>)]) -> Vec<u8> {
    message(34, 0x08, SPI, 0, payloads)
}

fn message(exchange: u8, flags: u8, spi_i: u64, spi_r: u64, payloads: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut message = [spi_i.to_be_bytes(), spi_r.to_be_bytes()].concat();
    let mut kinds = payloads.iter().map(|(kind, _)| *kind).chain([0]);
    message.extend([kinds.next().unwrap(), 0x20, exchange, flags]);
    message.extend([0; 8]);
    for (_, body) in payloads {
        let length = u16::try_from(4 + body.len()).unwrap().to_be_bytes();
        message.extend([kinds.next().unwrap(), 0, length[0], length[1]]);
        message.extend(body);
    }
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    message[24..28].copy_from_slice(&length);
    message
}

fn nonce(length: usize) -> (u8, Vec<u8>) {
    (NONCE, vec![0xa5; length])
}

fn notify_cookie(cookie: &[u8]) -> (u8, Vec<u8>) {
    (NOTIFY, [&[0, 0, 0x40, 0x06], cookie].concat())
}

/// What a client sends at first.
fn plain() -> Vec<(u8, Vec<u8>)> {
    vec![
        (SA, vec![1; 44]),
        (KE, vec![2; 36]),
        nonce(32),
        (NOTIFY, vec![0, 0, 0x40, 0x2e]),
        (VENDOR, vec![3; 16]),
    ]
}

/// The same, with a cookie.
fn with(cookie: &[u8]) -> Vec<(u8, Vec<u8>)> {
    [vec![notify_cookie(cookie)], plain()].concat()
}

fn good_for(address: IpAddr) -> Vec<(u8, Vec<u8>)> {
    with(&secrets().cookies.mint(address, SPI, &NONCE_DATA))
}

fn from(address: IpAddr, port: u16, message: Vec<u8>) -> Packet {
    let ours = match address {
        IpAddr::V4(_) => OURS_V4.into(),
        IpAddr::V6(_) => OURS_V6.into(),
    };
    let marker = if port == 4500 { 4 } else { 0 };
    Packet::new(address, ours, port).carrying([vec![0; marker], message].concat())
}

fn v4(message: Vec<u8>) -> Packet {
    from(PEER_V4.into(), 500, message)
}

/// Each way that a request may come.
fn ways(payloads: impl Fn(IpAddr) -> Vec<(u8, Vec<u8>)>) -> Vec<(Packet, u16)> {
    let mut packets = Vec::new();
    for address in [PEER_V4.into(), PEER_V6.into()] {
        for port in [500, 4500] {
            let plain = from(address, port, request(&payloads(address)));
            let one = plain.clone().tag(CUSTOMER);
            let two = plain.clone().tag(SERVICE).tag(CUSTOMER);
            packets.extend([plain, one, two].map(|packet| (packet, port)));
        }
    }
    packets
}

fn challenges() -> Vec<Case> {
    let asked = ways(|_| plain()).into_iter();
    let good = ways(good_for).into_iter();
    let response = message(34, 0x20, SPI, 9, &plain());
    let auth = message(35, 0x08, SPI, 9, &[(46, vec![0; 64])]);
    let short = request(&[(SA, vec![]), (KE, vec![]), nonce(16)]);
    let others = vec![
        (v4(response), RedirectIke),
        (v4(auth), RedirectIke),
        (v4(request(&plain())).from_port(0), PassMartian),
        (v4(short.clone()), ReplyCookie),
        (v4(short).padded(9), ReplyCookie),
        (v4(request(&plain())).padded(300), ReplyCookie),
        (from(OURS_V4.into(), 500, request(&plain())), PassMartian),
        (from(BROADCAST.into(), 500, request(&plain())), PassMartian),
        (from(OURS_V6.into(), 4500, request(&plain())), PassMartian),
    ];
    vec![
        case(
            "asked for a cookie",
            always(),
            asked.map(|(packet, _)| (packet, ReplyCookie)).collect(),
        ),
        case(
            "with a good cookie",
            always(),
            good.map(|(packet, port)| {
                let verdict = if port == 500 {
                    RedirectIke
                } else {
                    RedirectIkeNat
                };
                (packet, verdict)
            })
            .collect(),
        ),
        case("what is not asked for a cookie", always(), others),
        case(
            "in transit",
            always(),
            passing(Ipv4Addr::new(203, 0, 113, 9)),
        ),
        case("in transit, IPv6", always(), passing(OTHERS_V6)),
        case("to our broadcast address", always(), passing(BROADCAST)),
        case(
            "to and from who shares a bit of the filter with us",
            always(),
            vec![
                passing(alike_v4()).swap_remove(0),
                passing(alike_v6()).swap_remove(0),
                (from(alike_v4().into(), 500, request(&plain())), ReplyCookie),
                (from(alike_v6().into(), 500, request(&plain())), ReplyCookie),
            ],
        ),
    ]
}

/// Who has to be looked for, and is not found.
fn alike_v4() -> Ipv4Addr {
    let others = (0x0808_0000..0x0909_0000).map(Ipv4Addr::from_bits);
    alike(OURS_V4.into(), others)
}

fn alike_v6() -> Ipv6Addr {
    let others = (0..1 << 20).map(|it| Ipv6Addr::from_bits(PEER_V6.to_bits() + (it << 64)));
    alike(OURS_V6.into(), others)
}

fn alike<T: Into<IpAddr> + Copy>(ours: IpAddr, mut others: impl Iterator<Item = T>) -> T {
    let filter = AddressFilter::from_iter([Address::from(ours)]).to_words();
    let found = others.find(|it| AddressFilter::may_have(&filter, Address::from((*it).into())));
    found.expect("one in 4096")
}

/// A request to somebody else.
fn passing(destination: impl Into<IpAddr>) -> Vec<(Packet, Verdict)> {
    let destination = destination.into();
    let peer = match destination {
        IpAddr::V4(_) => PEER_V4.into(),
        IpAddr::V6(_) => PEER_V6.into(),
    };
    let packet = Packet::new(peer, destination, 500).carrying(request(&plain()));
    vec![(packet, PassTransit)]
}

fn cookies() -> Vec<Case> {
    let address = IpAddr::from(PEER_V4);
    let mint = |address, spi, nonce: &[u8]| secrets().cookies.mint(address, spi, nonce);
    let good = mint(address, SPI, &NONCE_DATA);
    let mut bad = good;
    bad[8] ^= 1;
    let mut version = good;
    version[0] = 9;
    // The secrets of the table are of version 0, so that the one before is 255.
    let previous = CookieSecrets::new([3, 4], [0, 0]).mint(address, SPI, &NONCE_DATA);
    let mut previous_version = previous;
    previous_version[0] = 255;
    let after = [plain(), vec![notify_cookie(&good)]].concat();
    let second = [vec![(VENDOR, vec![1])], with(&good)].concat();
    let of = |payloads: Vec<(u8, Vec<u8>)>| v4(request(&payloads));
    let frames = vec![
        (of(with(&good)), RedirectIke),
        (of(with(&previous_version)), RedirectIke),
        (of(with(&previous)), ReplyCookie),
        (of(with(&bad)), ReplyCookie),
        (of(with(&version)), ReplyCookie),
        (of(with(&good[..8])), ReplyCookie),
        (of(with(&[])), ReplyCookie),
        (of(with(&[good.as_slice(), &[0]].concat())), ReplyCookie),
        (
            of(with(&mint(PEER_V6.into(), SPI, &NONCE_DATA))),
            ReplyCookie,
        ),
        (of(with(&mint(address, SPI ^ 1, &NONCE_DATA))), ReplyCookie),
        (of(with(&mint(address, SPI, &[0; 32]))), ReplyCookie),
        (of(after), ReplyCookie),
        (of(second), ReplyCookie),
    ];
    let lengths = [16, 17, 23, 24, 25, 31, 255, 256].map(|length| {
        let cookie = mint(address, SPI, &vec![0xa5; length]);
        (of(vec![notify_cookie(&cookie), nonce(length)]), RedirectIke)
    });
    vec![
        case("cookies, good and bad", always(), frames),
        case("nonces of every length", always(), lengths.into()),
    ]
}

fn chains() -> Vec<Case> {
    let of = |payloads: &[(u8, Vec<u8>)]| v4(request(payloads));
    let vendors = |count: usize| vec![(VENDOR, vec![0; 8]); count];
    let mut truncated = request(&plain());
    let length = truncated.len() as u32 - 10;
    truncated.truncate(length as usize);
    truncated[24..28].copy_from_slice(&length.to_be_bytes());
    let mut beyond = request(&[(SA, vec![0; 40]), nonce(32)]);
    // The length of the nonce payload, one octet more than there is.
    let at = beyond.len() - 34;
    beyond[at..at + 2].copy_from_slice(&[0, 37]);
    let mut nothing = request(&plain());
    nothing[30..32].copy_from_slice(&[0, 3]);
    let frames = vec![
        (of(&[nonce(32), (SA, vec![0; 40])]), ReplyCookie),
        (of(&[nonce(15)]), DropNonce),
        (of(&[nonce(257)]), DropNonce),
        (of(&[]), DropNonce),
        (of(&[(SA, vec![0; 40])]), DropNonce),
        (of(&[(SA, vec![0; 3000]), nonce(256)]), ReplyCookie),
        (of(&[vendors(15), vec![nonce(32)]].concat()), ReplyCookie),
        (of(&[vendors(16), vec![nonce(32)]].concat()), DropNonce),
        (v4(truncated), ReplyCookie),
        (v4(beyond), DropNonce),
        (v4(nothing), DropNonce),
    ];
    vec![case("payloads in a row", always(), frames)]
}

fn spis() -> Vec<Case> {
    let ours = secrets().spis.mint(0xdead_beef);
    let previous = SpiSecrets::new(7, [7, 8], [0, 0]).mint(3);
    let kept = 0x4242_4242_4242_4242;
    let told = Told {
        config: Config {
            check_spis: true,
            stray: Limits {
                source: once_and(0),
                total: once_and(1),
            },
            ..config(Cookies::Off)
        },
        kept_spis: [kept].into(),
        ..Told::default()
    };
    let auth = |flags, spi_i, spi_r| message(35, flags, spi_i, spi_r, &[(46, vec![0; 64])]);
    let other = IpAddr::from(PEER_V6);
    let third = IpAddr::from([198, 51, 100, 3]);
    vec![case(
        "SPIs of ours and of others",
        told,
        vec![
            (v4(auth(0x08, SPI, ours)), RedirectIke),
            (v4(auth(0x28, SPI, ours)), RedirectIke),
            (v4(auth(0x20, ours, SPI)), RedirectIke),
            (v4(auth(0x00, ours, SPI)), RedirectIke),
            (v4(auth(0x08, SPI, previous)), RedirectIke),
            (v4(auth(0x08, SPI, kept)), RedirectIke),
            (from(other, 4500, auth(0x08, SPI, ours)), RedirectIkeNat),
            (v4(request(&plain())), RedirectIke),
            (v4(message(34, 0x20, ours, SPI, &plain())), RedirectIke),
            (v4(auth(0x08, SPI, ours ^ 1)), RedirectStray),
            (v4(auth(0x08, SPI, 0)), DropStray),
            // Who has had its share takes nothing of the others'.
            (from(third, 500, auth(0x08, ours, SPI)), RedirectStray),
            (from(other, 500, auth(0x08, ours, SPI)), DropStray),
        ],
    )]
}

fn versions() -> Vec<Case> {
    let told = told(Config {
        stray: each(once_and(0)),
        ..config(Cookies::Off)
    });
    let later = || v4(request(&plain())).payload(17, [0x30]);
    let frames = vec![(later(), RedirectVersion), (later(), DropVersionLimit)];
    vec![case("a later version", told, frames)]
}

/// Prefixes of IPv6 say nothing about IPv4, all of which lies in one in the map.
fn all_of_a_family() -> Vec<Case> {
    let told = Told {
        listed: [("::/0".parse().unwrap(), Listing::Blocked)].into(),
        ..always()
    };
    let frames = vec![
        (no_cookie(PEER_V4.into()), ReplyCookie),
        (no_cookie(PEER_V6.into()), DropBlocked),
    ];
    vec![case("all of IPv6", told, frames)]
}

fn lists() -> Vec<Case> {
    let listed = [
        ("198.51.100.0/24", Listing::Blocked),
        ("198.51.100.2/32", Listing::Allowed),
        ("2001:db8:ff::/48", Listing::Blocked),
        ("2001:db8:ff:1::/64", Listing::Allowed),
        ("2001:db8:ff:1::7/128", Listing::Blocked),
    ];
    let told = Told {
        config: Config {
            check_spis: true,
            stray: each(once_and(0)),
            proven: each(once_and(0)),
            ..config(Cookies::Always)
        },
        listed: listed
            .map(|(prefix, listing)| (prefix.parse().unwrap(), listing))
            .into(),
        ..Told::default()
    };
    let no_cookie = |address: &str| from(address.parse().unwrap(), 500, request(&plain()));
    let auth = message(35, 0x08, SPI, 9, &[(46, vec![0; 64])]);
    let later = no_cookie("198.51.100.2").payload(17, [0x30]);
    let blocked_later = no_cookie("198.51.100.3").payload(17, [0x30]);
    vec![case(
        "prefixes that are listed",
        told,
        vec![
            (no_cookie("198.51.100.2"), RedirectIke),
            (no_cookie("198.51.100.2"), RedirectIke),
            (v4(auth), RedirectIke),
            (later.clone(), RedirectVersion),
            (later, RedirectVersion),
            (no_cookie("198.51.100.3"), DropBlocked),
            (blocked_later, DropBlocked),
            (no_cookie("203.0.113.1"), ReplyCookie),
            (no_cookie("2001:db8:ff::2"), DropBlocked),
            (no_cookie("2001:db8:ff:1::2"), RedirectIke),
            (no_cookie("2001:db8:ff:1::7"), DropBlocked),
            (no_cookie("2001:db8:fe::7"), ReplyCookie),
        ],
    )]
}
