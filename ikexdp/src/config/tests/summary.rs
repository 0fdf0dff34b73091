//! What `ikexdp check` shows.

use super::super::OwnProof;
use super::{GOOD, Lab};

#[test]
fn a_summary_shows_what_would_be_served() {
    let text = GOOD.replace("gateway.pem", "chain.pem");
    let loaded = Lab::new().load(&text).unwrap();
    let length: usize = match &loaded.proofs[0].local {
        OwnProof::Certificates(chains) => chains[0].iter().map(|one| one.length).sum(),
        OwnProof::SharedKey => panic!("not a certificate"),
    };
    let expected = format!(
        "\
gateway
  transport  xdp on eth0, mode auto, transfer auto, IKEv1: drop
  datagrams  of 1280 octets, fragmented by IKE
  algorithms aes256-gcm16, aes128-gcm16, chacha20-poly1305 / prf-sha2-256, prf-sha2-384, prf-sha2-512 / x25519, modp3072, modp4096
  data plane xfrm
  control    /run/ikexdp/control.sock
  state      /var/lib/ikexdp

defence
  cookies    automatic, from 256 half-open SAs or 1000 requests a second on
  half-open  16384 SAs at most, 1024 of a source
  requests   100 a second of a source, 1000 at once; 10000 of all with cookies
  sources    65536 known
  node       0
  prefixes   0 allowed, 0 blocked

connection staff
  local      vpn.example.com
  shows      CN=rcgen self signed cert (until 2040-01-01T00:00:00Z)
  chain      certificates: 1, octets: {length}, fragments: at least 1
  remote     any identity
  must show  a certificate of CN=Root (until 4096-01-01T00:00:00Z)
  reaches    0.0.0.0/0, ::/0
  gets       an address of pool staff
  lifetimes  1day of an IKE SA, 8h of a CHILD SA; either side rekeys
  uniqueness keep

pool staff
  addresses  10.9.0.1-10.9.0.254 (254 addresses), 2001:db8:9::1-2001:db8:9::ffff (65535 addresses)
  dns        10.0.0.53
"
    );
    assert_eq!(loaded.to_string(), expected);
}
