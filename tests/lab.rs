//! The lab itself: its router does what it says, and strongSwan connects to strongSwan across it.
//!
//! What holds here between two strangers is what the other tiers take for granted when ikexdp is
//! one of the two.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test ends by a panic"
)]

use std::{net::IpAddr, time::Duration};

use harness::{
    credentials::{Credentials, SECRET},
    datagram::{Datagram, timeline},
    lab::{Ends, Lab, NAMES, NAT, Path, V4, V6},
    pki::{Key, Pki},
    strongswan::{Esp, Settings, Strongswan},
};

/// What the tests vary.
struct Case {
    ends: Ends,
    path: Path,
    key: Option<Key>,
    fragmentation: bool,
    esp: Esp,
}

impl Case {
    const PSK: Self = Self {
        ends: V4,
        path: Path {
            nat: false,
            drop_fragments: false,
            size_max: None,
            loss_percent: 0,
            rules: "",
        },
        key: None,
        fragmentation: true,
        esp: Esp::None,
    };
    const RSA_4096: Self = Self {
        key: Some(Key::Rsa4096),
        ..Self::PSK
    };

    /// A client that can connect to a gateway, both strongSwan.
    fn start(&self) -> (Lab, Strongswan, Strongswan) {
        let lab = Lab::new();
        lab.set_path(&self.path);
        let (client, gateway) = match self.key {
            Some(key) => {
                let pki = Pki::new(key);
                (Credentials::client(&pki), Credentials::gateway(&pki))
            }
            None => (
                Credentials::client_psk(SECRET),
                Credentials::gateway_psk(SECRET),
            ),
        };
        let gateway = Settings {
            fragmentation: self.fragmentation,
            esp: self.esp,
            ..Settings::responder(self.ends.gateway, gateway)
        };
        let client = Settings {
            fragmentation: self.fragmentation,
            esp: self.esp,
            ..Settings::initiator(self.ends.client, self.ends.gateway, client)
        };
        let gateway = Strongswan::start(&lab.gateway, gateway);
        let client = Strongswan::start(&lab.client, client);
        (lab, client, gateway)
    }

    /// Connects, checks that both sides have the same SA, and returns what passed the client's
    /// interface.
    fn connects(&self) -> Vec<Datagram> {
        let (lab, client, gateway) = self.start();
        let capture = lab.capture_client();
        client.initiate().expect("the client connects");
        let datagrams = capture.stop();
        let (client, gateway) = (client.sas(), gateway.sas());
        assert_eq!((client.len(), gateway.len()), (1, 1));
        assert_eq!(
            (client[0].state.as_str(), gateway[0].state.as_str()),
            ("ESTABLISHED", "ESTABLISHED")
        );
        assert_eq!(client[0].initiator_spi, gateway[0].initiator_spi);
        assert_eq!(client[0].responder_spi, gateway[0].responder_spi);
        datagrams
    }

    /// Tries to connect in vain, and returns what passed the client's interface and what the router
    /// dropped.
    fn fails(&self) -> (Vec<Datagram>, u64) {
        let (lab, client, _gateway) = self.start();
        let capture = lab.capture_client();
        client.initiate().expect_err("the client does not connect");
        (capture.stop(), lab.drops().fragments)
    }
}

fn fragments_of_ike(datagrams: &[Datagram]) -> usize {
    datagrams
        .iter()
        .filter(|datagram| datagram.ike().is_some_and(|ike| ike.fragment.is_some()))
        .count()
}

fn fragments_of_ip(datagrams: &[Datagram]) -> usize {
    datagrams
        .iter()
        .filter(|datagram| datagram.fragment.is_some())
        .count()
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_psk_needs_no_fragments() {
    for ends in [V4, V6] {
        let datagrams = Case { ends, ..Case::PSK }.connects();
        let shown = timeline(&datagrams, &NAMES);
        let ike: Vec<_> = datagrams.iter().filter_map(Datagram::ike).collect();
        let exchanges: Vec<_> = ike
            .iter()
            .map(|ike| (ike.exchange, ike.response, ike.fragment))
            .collect();
        assert_eq!(
            exchanges,
            [
                (34, false, None),
                (34, true, None),
                (35, false, None),
                (35, true, None)
            ],
            "\n{shown}"
        );
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn without_ike_fragmentation_a_chain_becomes_ip_fragments() {
    for ends in [V4, V6] {
        let datagrams = Case {
            ends,
            fragmentation: false,
            ..Case::RSA_4096
        }
        .connects();
        let shown = timeline(&datagrams, &NAMES);
        assert_eq!(fragments_of_ike(&datagrams), 0, "\n{shown}");
        assert!(
            fragments_of_ip(&datagrams) >= 6,
            "both sides send more than 3000 bytes:\n{shown}"
        );
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_path_without_ip_fragments_stops_the_chain() {
    for ends in [V4, V6] {
        let (datagrams, dropped) = Case {
            ends,
            path: Path::FRAGMENTS_DROPPED,
            fragmentation: false,
            ..Case::RSA_4096
        }
        .fails();
        let shown = timeline(&datagrams, &NAMES);
        let sent = u64::try_from(fragments_of_ip(&datagrams)).unwrap();
        assert!(sent >= 3, "\n{shown}");
        assert_eq!(
            dropped, sent,
            "the router counts what the client sent:\n{shown}"
        );
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn ike_fragmentation_takes_the_chain_across() {
    for ends in [V4, V6] {
        let datagrams = Case {
            ends,
            path: Path::FRAGMENTS_DROPPED,
            ..Case::RSA_4096
        }
        .connects();
        let shown = timeline(&datagrams, &NAMES);
        assert_eq!(fragments_of_ip(&datagrams), 0, "\n{shown}");
        assert!(
            fragments_of_ike(&datagrams) >= 6,
            "both sides send more than 3000 bytes:\n{shown}"
        );
        assert_eq!(
            datagrams
                .iter()
                .filter(|datagram| datagram.ike().is_some())
                .map(|d| d.length)
                .max(),
            Some(1280)
        );
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn every_kind_of_key_connects() {
    for key in [Key::Rsa2048, Key::EcdsaP256, Key::EcdsaP384, Key::Ed25519] {
        Case {
            key: Some(key),
            ..Case::PSK
        }
        .connects();
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn nat_moves_both_ends_to_port_4500() {
    for (ends, translated) in [(V4, NAT[0]), (V6, NAT[1])] {
        let path = Path {
            nat: true,
            ..Path::FRAGMENTS_DROPPED
        };
        let (lab, client, gateway) = Case {
            ends,
            path,
            ..Case::RSA_4096
        }
        .start();
        let capture = lab.capture_gateway();
        client.initiate().expect("the client connects");
        let datagrams = capture.stop();
        let ike: Vec<_> = datagrams
            .iter()
            .filter(|datagram| datagram.ike().is_some())
            .collect();
        let shown = timeline(&datagrams, &NAMES);
        assert!(
            ike.iter()
                .all(|datagram| [datagram.source, datagram.destination].contains(&translated)),
            "\n{shown}"
        );
        let sa = &gateway.sas()[0];
        assert_eq!((sa.local.port(), sa.remote.ip()), (4500, translated));
        assert_ne!(sa.remote.port(), 4500, "the NAT chooses the client's port");
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_limited_path_drops_what_is_longer() {
    let path = Path {
        size_max: Some(1279),
        ..Path::default()
    };
    let (lab, client, _gateway) = Case {
        path,
        ..Case::RSA_4096
    }
    .start();
    client
        .initiate()
        .expect_err("fragments of 1280 bytes do not fit");
    // Two full fragments in each of four transmissions; the third is shorter.
    assert_eq!(lab.drops().oversized, 8);
    lab.set_path(&Path {
        size_max: Some(1280),
        ..Path::default()
    });
    client.initiate().expect("fragments of 1280 bytes fit");
    assert_eq!(lab.drops().oversized, 0);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn loss_is_counted_and_survived() {
    let (lab, client, _gateway) = Case::PSK.start();
    lab.set_path(&Path {
        loss_percent: 100,
        ..Path::default()
    });
    client.initiate().expect_err("nothing arrives");
    assert_eq!(lab.drops().lost, 4, "a request and three repetitions");
    lab.set_path(&Path::default());
    client.initiate().expect("everything arrives");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_tunnel_in_user_space_carries_traffic() {
    let lab = Lab::new();
    let gateway = Settings::responder(V4.gateway, Credentials::gateway_psk(SECRET));
    let client = Settings {
        virtual_ips: vec![[0; 4].into(), [0; 16].into()],
        ..Settings::initiator(V4.client, V4.gateway, Credentials::client_psk(SECRET))
    };
    let gateway = Strongswan::start(&lab.gateway, gateway);
    let client = Strongswan::start(&lab.client, client);
    client.initiate().expect("the client connects");
    let virtual_ips = client.sas()[0].virtual_ips.clone();
    assert_eq!(
        virtual_ips,
        [
            "10.9.0.1".parse::<IpAddr>().unwrap(),
            "2001:db8:9::1".parse().unwrap()
        ]
    );
    lab.gateway.exec("ip address add 10.8.0.1/32 dev lo");
    lab.client.exec("ping -c 3 -i 0.2 10.8.0.1");
    assert_eq!(client.sas()[0].children[0].packets_in, 3);
    assert_eq!(gateway.sas()[0].children[0].packets_in, 3);
    client
        .terminate()
        .expect("the gateway answers the deletion");
    let gone = |lines: &[String]| {
        lines
            .iter()
            .find(|line| line.contains("deleting IKE_SA"))
            .map(drop)
    };
    gateway
        .log()
        .wait_for(Duration::from_secs(5), gone)
        .expect("the gateway deletes the IKE SA");
    assert_eq!((client.sas(), gateway.sas()), (vec![], vec![]));
}
