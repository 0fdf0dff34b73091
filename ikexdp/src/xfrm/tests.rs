//! Messages, octet by octet, as `linux/xfrm.h` and `linux/netlink.h` lay them out.

use std::io;
use std::net::SocketAddr;

use ikexdp_proto::crypto::cipher::{Cipher, Encryption, Integrity};
use ikexdp_proto::crypto::keymat::EspKeys;
use ikexdp_proto::data_plane::{
    Binding, Carried, DataPlaneEvent, Direction, EspSa, Lineage, Mark, Policies, Tunnel,
    UsageLimits,
};
use ikexdp_proto::suite::EspSuite;
use ikexdp_proto::types::{EspSpi, Secret};
use ikexdp_proto::wire::payload::ts::TrafficSelector;
use netlink_packet_core::NetlinkSerializable;

use super::message::Message;
use super::policy::{Key, Owner};
use super::transaction::Undo;
use super::{XfrmError, error, events, sa};
use crate::netlink::{NetlinkError, Refusal};

/// `XFRMA_…` in the order of the header.
const ALG_AUTH: u16 = 1;
const ALG_CRYPT: u16 = 2;
const ENCAP: u16 = 4;
const TMPL: u16 = 5;
const ALG_AEAD: u16 = 18;
const ALG_AUTH_TRUNC: u16 = 20;
const MARK: u16 = 21;
const REPLAY_ESN_VAL: u16 = 23;
const IF_ID: u16 = 31;
const MTIMER_THRESH: u16 = 32;

/// `sizeof(struct xfrm_usersa_info)` and of `struct xfrm_userpolicy_info`.
const SA_LEN: usize = 224;
const POLICY_LEN: usize = 168;

/// A message without its netlink header.
struct Octets {
    kind: u16,
    octets: Vec<u8>,
}

impl Octets {
    fn of(message: &Message) -> Self {
        let mut octets = vec![0xff; message.buffer_len()];
        message.serialize(&mut octets);
        let kind = message.message_type();
        Self { kind, octets }
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.octets[at..at + 8].try_into().unwrap())
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.octets[at..at + 4].try_into().unwrap())
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.octets[at..at + 2].try_into().unwrap())
    }

    /// The attributes behind `length` octets: types and values.
    fn attributes(&self, length: usize) -> Vec<(u16, &[u8])> {
        let mut rest = &self.octets[length..];
        let mut attributes = Vec::new();
        while !rest.is_empty() {
            let [length, kind] =
                [0, 2].map(|at| u16::from_ne_bytes(rest[at..at + 2].try_into().unwrap()));
            let length = usize::from(length);
            attributes.push((kind, &rest[4..length]));
            rest = &rest[length.next_multiple_of(4)..];
        }
        attributes
    }
}

/// A field of 64 octets with a name, then numbers, then a key.
fn algorithm(name: &str, numbers: &[u32], key: &[u8]) -> Vec<u8> {
    let mut octets = name.as_bytes().to_vec();
    octets.resize(64, 0);
    octets.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
    octets.extend_from_slice(key);
    octets
}

fn tunnel(in_udp: bool) -> Tunnel {
    Tunnel {
        local: "192.0.2.1:4500".parse().unwrap(),
        remote: "198.51.100.7:1024".parse().unwrap(),
        in_udp,
    }
}

fn sa(direction: Direction, cipher: Cipher, in_udp: bool) -> EspSa {
    EspSa {
        direction,
        spi: EspSpi(0x0a0b_0c0d),
        tunnel: tunnel(in_udp),
        suite: EspSuite {
            cipher,
            extended_sequence_numbers: true,
        },
        keys: EspKeys {
            encryption: Secret::new(vec![0xe0; cipher.encryption().key_material()]),
            integrity: Secret::new(vec![0xa0; cipher.integrity_key_material()]),
        },
        lineage: Lineage(7),
        binding: Binding {
            if_id: Some(42),
            mark: Some(Mark {
                value: 0x10,
                mask: 0xff,
            }),
        },
        limits: UsageLimits {
            soft_octets: Some(1000),
            hard_octets: Some(2000),
            soft_packets: None,
            hard_packets: Some(30),
        },
    }
}

fn gcm() -> Cipher {
    Cipher::new(Encryption::AesGcm16_256, None).unwrap()
}

#[test]
fn an_sa_is_laid_out_as_the_kernel_reads_it() {
    let message = Octets::of(&sa::install(&sa(Direction::Outbound, gcm(), true)));
    assert_eq!(message.kind, 0x10);
    let octets = &message.octets;
    // The selector selects everything, of either family.
    assert_eq!(octets[..56], [0; 56]);
    assert_eq!(octets[56..60], [198, 51, 100, 7]);
    assert_eq!(octets[72..77], [0x0a, 0x0b, 0x0c, 0x0d, 50]);
    assert_eq!(octets[80..84], [192, 0, 2, 1]);
    let limits = [96, 104, 112, 120].map(|at| message.u64(at));
    assert_eq!(limits, [1000, 2000, u64::MAX, 30]);
    assert_eq!(octets[128..208], [0; 80]);
    assert_eq!(message.u32(208), 0x5900_0007);
    assert_eq!(message.u16(212), 2);
    // Tunnel mode; no window here; XFRM_STATE_AF_UNSPEC and XFRM_STATE_ESN.
    assert_eq!(octets[214..217], [1, 0, 0x20 | 0x80]);

    let attributes = message.attributes(SA_LEN);
    let kinds: Vec<_> = attributes.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [ALG_AEAD, REPLAY_ESN_VAL, ENCAP, MARK, IF_ID]);
    let replay = [1_u32, 0, 0, 0, 0, 1, 0].map(u32::to_ne_bytes).concat();
    assert_eq!(attributes[1].1, replay);
    let encapsulation = [
        &2_u16.to_ne_bytes()[..],
        &[0x11, 0x94, 0x04, 0x00],
        &[0; 18],
    ]
    .concat();
    assert_eq!(attributes[2].1, encapsulation);
    assert_eq!(
        attributes[3].1,
        [0x10_u32, 0xff].map(u32::to_ne_bytes).concat()
    );
    assert_eq!(attributes[4].1, 42_u32.to_ne_bytes());
}

#[test]
fn an_inbound_sa_has_a_window_and_no_mark() {
    let message = Octets::of(&sa::install(&sa(Direction::Inbound, gcm(), true)));
    assert_eq!(message.octets[56..60], [192, 0, 2, 1]);
    assert_eq!(message.octets[80..84], [198, 51, 100, 7]);
    assert_eq!(message.u32(208), 0x5800_0007);
    let attributes = message.attributes(SA_LEN);
    let kinds: Vec<_> = attributes.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        kinds,
        [ALG_AEAD, REPLAY_ESN_VAL, ENCAP, MTIMER_THRESH, IF_ID]
    );
    let replay = [4_u32, 0, 0, 0, 0, 128, 0, 0, 0, 0]
        .map(u32::to_ne_bytes)
        .concat();
    assert_eq!(attributes[1].1, replay);
    // From the peer's port to ours.
    assert_eq!(attributes[2].1[2..6], [0x04, 0x00, 0x11, 0x94]);
    let native = Octets::of(&sa::install(&sa(Direction::Inbound, gcm(), false)));
    assert_eq!(native.attributes(SA_LEN).len(), 3);
}

#[test]
fn ciphers_have_the_names_and_lengths_of_the_kernel() {
    for (encryption, name, octets) in [
        (Encryption::AesGcm16_128, "rfc4106(gcm(aes))", 20),
        (Encryption::AesGcm16_256, "rfc4106(gcm(aes))", 36),
        (
            Encryption::ChaCha20Poly1305,
            "rfc7539esp(chacha20,poly1305)",
            36,
        ),
    ] {
        let cipher = Cipher::new(encryption, None).unwrap();
        let message = Octets::of(&sa::install(&sa(Direction::Inbound, cipher, false)));
        let key = vec![0xe0; octets];
        let bits = u32::try_from(octets * 8).unwrap();
        let expected = (ALG_AEAD, &algorithm(name, &[bits, 128], &key)[..]);
        assert_eq!(message.attributes(SA_LEN)[0], expected, "{cipher}");
    }
    for (encryption, octets) in [(Encryption::AesCbc128, 16), (Encryption::AesCbc256, 32)] {
        for (integrity, name, bits, cut) in [
            (Integrity::HmacSha2_256_128, "hmac(sha256)", 256, 128),
            (Integrity::HmacSha2_384_192, "hmac(sha384)", 384, 192),
            (Integrity::HmacSha2_512_256, "hmac(sha512)", 512, 256),
        ] {
            let cipher = Cipher::new(encryption, Some(integrity)).unwrap();
            let message = Octets::of(&sa::install(&sa(Direction::Inbound, cipher, false)));
            let attributes = message.attributes(SA_LEN);
            assert!(attributes.iter().all(|(kind, _)| *kind != ALG_AUTH));
            let key = vec![0xe0; octets];
            let key_bits = u32::try_from(octets * 8).unwrap();
            let expected = (ALG_CRYPT, &algorithm("cbc(aes)", &[key_bits], &key)[..]);
            assert_eq!(attributes[0], expected, "{cipher}");
            let key = vec![0xa0; usize::try_from(bits / 8).unwrap()];
            let expected = (ALG_AUTH_TRUNC, &algorithm(name, &[bits, cut], &key)[..]);
            assert_eq!(attributes[1], expected, "{cipher}");
        }
    }
}

#[test]
fn an_sa_is_named_by_destination_spi_and_mark() {
    let name = sa(Direction::Outbound, gcm(), false).name();
    for (message, kind) in [(sa::remove(&name), 0x11), (sa::query(&name), 0x12)] {
        let message = Octets::of(&message);
        assert_eq!(message.kind, kind);
        assert_eq!(message.octets[..4], [198, 51, 100, 7]);
        assert_eq!(message.octets[16..20], [0x0a, 0x0b, 0x0c, 0x0d]);
        assert_eq!((message.u16(20), message.octets[22]), (2, 50));
        assert_eq!(message.attributes(24)[0].0, MARK);
    }
}

#[test]
fn policies_are_laid_out_as_the_kernel_reads_them() {
    let service = TrafficSelector {
        protocol: 6,
        start_port: 443,
        end_port: 443,
        ..TrafficSelector::host("2001:db8:a::1".parse().unwrap())
    };
    let policies = Policies {
        lineage: Lineage(7),
        tunnel: tunnel(false),
        local: vec![service],
        remote: vec![TrafficSelector::host("2001:db8:b::1".parse().unwrap())],
        binding: sa(Direction::Inbound, gcm(), false).binding,
    };
    let key = Key::all(&policies).unwrap().pop().unwrap();
    let owner = Owner::new(policies.lineage, &policies.tunnel);
    let messages: Vec<_> = key
        .install(owner, None)
        .map(|(make, undo)| match undo {
            Undo::Remove(removal) => (Octets::of(&make), Octets::of(&removal.delete())),
            Undo::Tell(message) => panic!("{message:?} to undo a policy that is new"),
        })
        .collect();
    // XFRM_POLICY_OUT, _IN and _FWD.
    for ((make, undo), direction) in messages.iter().zip([1_u8, 0, 2]) {
        assert_eq!((make.kind, undo.kind), (0x13, 0x14));
        assert_eq!((make.octets[160], undo.octets[60]), (direction, direction));
        assert_eq!(make.octets[..56], undo.octets[..56]);
        let outbound = direction == 1;
        let [local, remote] = ["2001:db8:a::1", "2001:db8:b::1"]
            .map(|address| address.parse::<std::net::Ipv6Addr>().unwrap().octets());
        let (destination, source) = if outbound {
            (remote, local)
        } else {
            (local, remote)
        };
        assert_eq!(make.octets[..16], destination);
        assert_eq!(make.octets[16..32], source);
        let https = [0x01, 0xbb, 0xff, 0xff];
        let (dport, sport) = if outbound {
            ([0; 4], https)
        } else {
            (https, [0; 4])
        };
        assert_eq!(make.octets[32..36], dport);
        assert_eq!(make.octets[36..40], sport);
        assert_eq!(
            (make.u16(40), &make.octets[42..45]),
            (10, &[128, 128, 6][..])
        );
        assert_eq!(make.u64(56), u64::MAX);
        assert_eq!(make.u32(152), 400_000 - (256 << 7 | 1 << 6 | 16));
        let attributes = make.attributes(POLICY_LEN);
        assert_eq!(attributes[0].0, TMPL);
        assert_eq!(attributes[1..], undo.attributes(64));
        let template = attributes[0].1;
        let [ours, theirs] = [[192, 0, 2, 1], [198, 51, 100, 7]];
        let (to, from) = if outbound {
            (theirs, ours)
        } else {
            (ours, theirs)
        };
        assert_eq!((&template[..4], &template[28..32]), (&to[..], &from[..]));
        // Any SPI; ESP; of the outer family.
        assert_eq!(template[16..21], [0, 0, 0, 0, 50]);
        assert_eq!(template[24..26], 2_u16.to_ne_bytes());
        let reqid: u32 = if outbound { 0x5900_0007 } else { 0x5800_0007 };
        assert_eq!(template[44..48], reqid.to_ne_bytes());
        // Tunnel mode, and any algorithms.
        assert_eq!(template[48..52], [1, 0, 0, 0]);
        assert_eq!(template[52..], [0xff; 12]);
    }
}

/// What Linux 6.1 said of an outbound SA past its soft limit.
#[test]
fn what_the_kernel_says_of_a_worn_sa_is_read() {
    let mut octets = vec![0; 248];
    octets[..4].copy_from_slice(&248_u32.to_ne_bytes());
    octets[4..6].copy_from_slice(&0x18_u16.to_ne_bytes());
    octets[72..76].copy_from_slice(&[192, 0, 2, 2]);
    octets[88..93].copy_from_slice(&[0, 0, 0x20, 1, 50]);
    octets[96..100].copy_from_slice(&[192, 0, 2, 1]);
    octets[112..120].copy_from_slice(&500_u64.to_ne_bytes());
    octets[176..184].copy_from_slice(&524_u64.to_ne_bytes());
    octets[184..192].copy_from_slice(&6_u64.to_ne_bytes());
    octets[224..228].copy_from_slice(&0x5900_0001_u32.to_ne_bytes());
    octets[228..230].copy_from_slice(&2_u16.to_ne_bytes());
    let worn = |hard| DataPlaneEvent::Expired {
        lineage: Lineage(1),
        direction: Direction::Outbound,
        spi: EspSpi(0x2001),
        hard,
        carried: Carried {
            octets: 524,
            packets: 6,
        },
    };
    assert_eq!(events::read(&octets).unwrap(), [worn(false)]);
    octets[240] = 1;
    assert_eq!(events::read(&octets).unwrap(), [worn(true)]);
    // Of another program.
    octets[224..228].copy_from_slice(&1_u32.to_ne_bytes());
    assert_eq!(events::read(&octets).unwrap(), []);
}

/// `struct xfrm_user_mapping`.
#[test]
fn what_the_kernel_says_of_a_peer_that_moved_is_read() {
    let mut octets = vec![0; 80];
    octets[..4].copy_from_slice(&80_u32.to_ne_bytes());
    octets[4..6].copy_from_slice(&0x26_u16.to_ne_bytes());
    octets[16..20].copy_from_slice(&[192, 0, 2, 1]);
    octets[32..36].copy_from_slice(&[0, 0, 0x20, 1]);
    octets[36..38].copy_from_slice(&2_u16.to_ne_bytes());
    octets[38] = 50;
    octets[40..44].copy_from_slice(&0x5800_0001_u32.to_ne_bytes());
    octets[44..48].copy_from_slice(&[198, 51, 100, 7]);
    octets[60..64].copy_from_slice(&[203, 0, 113, 9]);
    octets[76..80].copy_from_slice(&[0x11, 0x94, 0x04, 0x01]);
    let remote: SocketAddr = "203.0.113.9:1025".parse().unwrap();
    let spi = EspSpi(0x2001);
    let lineage = Lineage(1);
    let remapped = DataPlaneEvent::Remapped {
        lineage,
        spi,
        remote,
    };
    assert_eq!(events::read(&octets).unwrap(), [remapped]);
}

#[test]
fn a_message_with_keys_is_not_printed() {
    let message = sa::install(&sa(Direction::Inbound, gcm(), false));
    assert_eq!(format!("{message:?}"), "Message(type 0x10)");
}

fn refusal(errno: i32, words: Option<&str>) -> Refusal {
    Refusal::new(
        io::Error::from_raw_os_error(errno),
        words.map(str::to_owned),
    )
}

#[test]
fn what_the_kernel_lacks_is_named() {
    let sa = sa(Direction::Inbound, gcm(), false);
    let not_installed =
        |errno, words| error::not_installed(&sa, &refusal(errno, words)).to_string();
    assert_eq!(
        not_installed(libc::EPROTONOSUPPORT, Some("Requested type not found")),
        "the kernel cannot do it: ESP over IPv4 with aes256-gcm16/esn: Requested type not found: \
         Protocol not supported (os error 93); hint: it takes the modules esp4, aes, gcm and seqiv"
    );
    for errno in [libc::ENOSYS, libc::ENOENT, libc::EOPNOTSUPP] {
        assert!(not_installed(errno, None).starts_with("the kernel cannot do it: "));
    }
    let taken = "the kernel has it already: SA of SPI 0a0b0c0d";
    assert_eq!(not_installed(libc::EEXIST, None), taken);
    let failed = not_installed(libc::EINVAL, Some("Replay window too big"));
    assert!(
        failed.contains("SPI 0a0b0c0d: Replay window too big"),
        "{failed}"
    );
}

#[test]
fn who_may_not_is_told_what_to_do() {
    let why = |error: NetlinkError| XfrmError::from(error).to_string();
    let refused = why(NetlinkError::Refused(refusal(libc::EPERM, None)));
    assert!(refused.contains("CAP_NET_ADMIN"), "{refused}");
    let error = io::Error::from_raw_os_error(libc::EPROTONOSUPPORT);
    let missing = why(NetlinkError::Socket(error));
    assert!(missing.contains("modprobe xfrm_user"), "{missing}");
}
