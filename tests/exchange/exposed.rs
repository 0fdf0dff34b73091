//! Keys for who is to read along: those of one peer, and of what is made from then on.

use std::net::IpAddr;
use std::time::Duration;

use harness::net::{Net, Side, Weather};
use harness::parties::{Parties, Proof};
use ikexdp_proto::{Command, ExposedKeys};

const CLIENT: &str = "192.0.2.10";
const OTHER: &str = "192.0.2.11";

fn exposing(peer: Option<&str>) -> Net {
    let mut net = Net::new(5, Weather::FAIR, &Parties::new(Proof::SharedKey));
    expose(&mut net, peer);
    net.connect();
    net.run(Duration::from_secs(2));
    assert_eq!(net.established(Side::Gateway).len(), 1);
    net
}

fn expose(net: &mut Net, peer: Option<&str>) {
    let peer: Option<IpAddr> = peer.map(|peer| peer.parse().unwrap());
    net.command(Side::Gateway, Command::Expose(peer));
}

fn rekey(net: &mut Net) {
    let id = net.established(Side::Gateway)[0].id;
    net.command(Side::Gateway, Command::Rekey { id, child: None });
    net.run(Duration::from_secs(2));
}

/// Every octet of the keys, by who sends.
fn octets(exposed: &ExposedKeys) -> [Vec<u8>; 2] {
    let keys = &exposed.keys;
    [&keys.from_initiator, &keys.from_responder]
        .map(|keys| [keys.encryption.expose().as_slice(), keys.integrity.expose()].concat())
}

#[test]
fn the_keys_of_a_peer_are_handed_out_from_its_first_message_on() {
    let mut net = exposing(Some(CLIENT));
    rekey(&mut net);
    let [first, second] = net.keys(Side::Gateway) else {
        panic!("of both IKE SAs: {:?}", net.keys(Side::Gateway));
    };
    assert_eq!(second.spis, net.established(Side::Gateway)[0].spis);
    let cipher = first.suite.cipher;
    let length = cipher.encryption().key_material() + cipher.integrity_key_material();
    let all = [octets(first), octets(second)].concat();
    for (place, keys) in all.iter().enumerate() {
        assert_eq!(keys.len(), length);
        assert!(!all[..place].contains(keys), "each has its own");
    }
    assert!(!format!("{first:?}").contains(&format!("{:?}", all[0])));
}

/// Both sides derive the same.
#[test]
fn it_takes_no_side_to_have_them() {
    let mut net = Net::new(6, Weather::FAIR, &Parties::new(Proof::SharedKey));
    expose(&mut net, Some(CLIENT));
    let gateway = "198.51.100.1".parse().unwrap();
    net.command(Side::Client, Command::Expose(Some(gateway)));
    net.connect();
    net.run(Duration::from_secs(2));
    let [ours] = net.keys(Side::Gateway) else {
        panic!("of one IKE SA");
    };
    let [theirs] = net.keys(Side::Client) else {
        panic!("of one IKE SA");
    };
    assert_eq!((ours.spis, octets(ours)), (theirs.spis, octets(theirs)));
}

#[test]
fn nobody_elses_keys_are_handed_out_nor_any_from_before_or_after() {
    for peer in [None, Some(OTHER)] {
        let mut net = exposing(peer);
        rekey(&mut net);
        assert_eq!(net.keys(Side::Gateway).len(), 0, "{peer:?}");
        // What was derived before is not kept.
        expose(&mut net, Some(CLIENT));
        assert_eq!(net.keys(Side::Gateway).len(), 0);
        rekey(&mut net);
        assert_eq!(net.keys(Side::Gateway).len(), 1);
        expose(&mut net, None);
        rekey(&mut net);
        assert_eq!(net.keys(Side::Gateway).len(), 1);
    }
}
