//! The life of a tunnel: its SAs are replaced, its client moves and disappears, and users notice none
//! of it that need not.

use std::{
    collections::BTreeSet,
    iter,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use harness::{
    credentials::{Credentials, SECRET},
    gateway::{Gateway, Setup},
    lab::{Lab, NAT, Path, V4, address},
    namespace::Namespace,
    strongswan::{Esp, Settings, Strongswan},
    traffic::{Pings, Stream, transfer},
    xfrm::{self, State},
};
use ikexdp::{
    clock::Clock,
    view::{Child, Sa},
};

use crate::{
    IKEXDP,
    tunnel::{self, Tunnel, lab},
};

/// An address behind the gateway.
const INSIDE: IpAddr = tunnel::INSIDE[0];
/// ESP in UDP, as most clients are behind a NAT.
const TUNNEL: Tunnel = Tunnel::ALL[1];
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(40);
/// What the log says of a CHILD SA that has taken the place of another.
pub(crate) const REKEYED: &str = " rekeyed=";
/// What of the configuration is the same for all: a client that has disappeared is missed soon.
const TABLES: &str = "
[log]
level = \"debug\"
[timing]
liveness = \"3s\"
retransmit = \"1s\"
retransmits = 2";

/// A lab and a daemon whose kernel has loaded everything, with further lines of the connection.
fn start(tunnel: Tunnel, connection: &'static str) -> (Lab, Gateway) {
    let lab = lab();
    tunnel.set_path(&lab);
    let setup = Setup {
        data_plane: "xfrm",
        connection,
        tables: TABLES,
        ..Setup::new(Credentials::gateway_psk(SECRET))
    };
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
    gateway.wait_for_line("the kernel has loaded what ESP takes");
    (lab, gateway)
}

/// Waits until the log has had so many lines with this text.
pub(crate) fn wait_for_lines(gateway: &Gateway, text: &str, count: usize) {
    let has_come = |lines: &[String]| {
        let come = lines.iter().filter(|line| line.contains(text)).count();
        (come >= count).then_some(())
    };
    gateway
        .log()
        .wait_for(PATIENCE, has_come)
        .unwrap_or_else(|| panic!("`{text}` is not {count} times in the daemon's log"));
}

/// Looks again and again until there is something to see.
pub(crate) fn look_until<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    let clock = Clock::start();
    let end = clock.now() + PATIENCE;
    iter::repeat_with(look)
        .find(|seen| seen.is_some() || clock.now() > end)
        .flatten()
}

/// Looks until there is one IKE SA with one CHILD SA, and exactly that in both kernels.
pub(crate) fn settled(lab: &Lab, gateway: &Gateway) -> (Sa, Child) {
    let spis = |end: &Namespace| -> BTreeSet<String> {
        let states = xfrm::states(end).into_iter();
        states.map(|state| format!("{:08x}", state.spi)).collect()
    };
    let look = || {
        let [sa] = <[Sa; 1]>::try_from(gateway.sas()).ok()?;
        let [child] = <[Child; 1]>::try_from(sa.children.clone()).ok()?;
        let agreed = BTreeSet::from([child.spi_in.clone(), child.spi_out.clone()]);
        let in_kernels = [&lab.gateway, &lab.client].map(spis);
        let is_settled = in_kernels.iter().all(|spis| *spis == agreed);
        is_settled.then_some((sa, child))
    };
    look_until(look).unwrap_or_else(|| {
        panic!(
            "{:?}\nclient: {:?}\ngateway: {:?}",
            gateway.sas(),
            xfrm::states(&lab.client),
            xfrm::states(&lab.gateway)
        )
    })
}

fn spis_of_ike(sa: &Sa) -> [&str; 2] {
    [&sa.initiator_spi, &sa.responder_spi]
}

fn spis_of_esp(child: &Child) -> [&str; 2] {
    [&child.spi_in, &child.spi_out]
}

/// Whether each is another.
fn differ(before: [&str; 2], after: [&str; 2]) -> bool {
    before
        .iter()
        .zip(after)
        .all(|(before, after)| *before != after)
}

fn none_was_lost(pings: Pings) {
    let (answered, lost) = pings.stop();
    assert!(
        lost.is_empty(),
        "{answered} pings were answered, not {lost:?}"
    );
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn either_side_replaces_sas_without_a_lost_ping() {
    const IKE: &str = "IKE SA rekeyed";
    let (lab, gateway) = start(TUNNEL, "");
    let client = TUNNEL.client(&lab);
    client.initiate().expect("the client connects");
    let (ike, child) = settled(&lab, &gateway);
    let pings = Pings::start(&lab.client, INSIDE);

    client.rekey_child().expect("the client has a CHILD SA");
    wait_for_lines(&gateway, REKEYED, 1);
    let (same_ike, second) = settled(&lab, &gateway);
    assert!(differ(spis_of_esp(&child), spis_of_esp(&second)));
    assert_eq!(spis_of_ike(&same_ike), spis_of_ike(&ike));

    client.rekey_ike().expect("the client has an IKE SA");
    wait_for_lines(&gateway, IKE, 1);
    let (second_ike, same) = settled(&lab, &gateway);
    assert!(differ(spis_of_ike(&ike), spis_of_ike(&second_ike)));
    assert_eq!(spis_of_esp(&same), spis_of_esp(&second));
    assert_eq!(second_ike.role, "responder");

    // The lifetimes of both are hours: here, too, somebody asks for it.
    let id = second_ike.id.to_string();
    gateway.ask(&["rekey", &id, "--child", &second.spi_in]);
    wait_for_lines(&gateway, REKEYED, 2);
    gateway.ask(&["rekey", &id]);
    wait_for_lines(&gateway, IKE, 2);
    let (third_ike, third) = settled(&lab, &gateway);
    assert!(differ(spis_of_esp(&second), spis_of_esp(&third)));
    assert!(differ(spis_of_ike(&second_ike), spis_of_ike(&third_ike)));
    assert_eq!(third_ike.role, "initiator");

    none_was_lost(pings);
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_child_sa_that_has_carried_its_share_is_replaced() {
    // Without UDP, and of the other family than the rest.
    const TUNNEL: Tunnel = Tunnel::ALL[2];
    const INSIDE: IpAddr = tunnel::INSIDE[1];
    // Of this, 80 to 90 % are carried before.
    let (lab, gateway) = start(TUNNEL, "child-octets = 2000000");
    let client = TUNNEL.client(&lab);
    client.initiate().expect("the client connects");
    let (_, before) = settled(&lab, &gateway);
    let pings = Pings::start(&lab.client, INSIDE);
    transfer(&lab.client, (&lab.gateway, INSIDE), 1_400_000);
    assert_eq!(
        spis_of_esp(&settled(&lab, &gateway).1),
        spis_of_esp(&before)
    );
    // In pieces: the SA is not to reach its end while it is being replaced.
    let is_replaced = || {
        let lines = gateway.log().entries();
        lines.iter().any(|line| line.contains(REKEYED))
    };
    (0..30)
        .take_while(|_| !is_replaced())
        .for_each(|_| transfer(&lab.client, (&lab.gateway, INSIDE), 20_000));
    wait_for_lines(&gateway, REKEYED, 1);
    let (_, after) = settled(&lab, &gateway);
    assert!(differ(spis_of_esp(&before), spis_of_esp(&after)));
    none_was_lost(pings);
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn nothing_stays_of_a_client_that_has_disappeared() {
    let (lab, gateway) = start(TUNNEL, "");
    let client = TUNNEL.client(&lab);
    client.initiate().expect("the client connects");
    settled(&lab, &gateway);
    lab.set_path(&Path {
        loss_percent: 100,
        ..Path::default()
    });
    wait_for_lines(&gateway, "reason=\"peer does not answer\"", 1);
    assert_eq!(gateway.sas(), []);
    let left = || (xfrm::states(&lab.gateway), xfrm::policies(&lab.gateway));
    let is_empty = || (left() == (Vec::new(), String::new())).then_some(());
    look_until(is_empty).unwrap_or_else(|| panic!("in the kernel: {:?}", left()));
}

/// A place that a client moves to.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Its address there.
    own: Ipv4Addr,
    /// Whether it is behind a NAT.
    nat: bool,
}

impl Place {
    const fn new(host: u8, nat: bool) -> Self {
        Self {
            own: Ipv4Addr::new(192, 0, 2, host),
            nat,
        }
    }

    /// Has the client leave its address `old` for this place.
    fn enter(self, lab: &Lab, old: IpAddr) {
        lab.set_path(&Path {
            nat: self.nat,
            ..Path::FRAGMENTS_DROPPED
        });
        address(&lab.client, "eth0", &[&format!("{}/24", self.own)]);
        lab.client
            .exec(&format!("ip address delete {old}/24 dev eth0"));
    }

    /// Where the gateway sees it.
    const fn seen(self) -> IpAddr {
        if self.nat {
            NAT[0]
        } else {
            IpAddr::V4(self.own)
        }
    }

    /// Looks until the gateway's kernel has the SAs of a client that was reached at `before`, and the
    /// daemon shows it, here; then until 100 kB have come from it.
    fn is_reached(self, gateway: &Gateway, lab: &Lab, before: SocketAddr) -> Sa {
        let ends = BTreeSet::from([self.seen(), V4.gateway]);
        let is_here = |state: &State| {
            state.in_udp == self.nat && BTreeSet::from([state.source, state.destination]) == ends
        };
        let octets = |sa: &Sa| sa.children[0].received.expect("the kernel tells").octets;
        let arrived = || {
            let [sa] = gateway.sas().try_into().expect("one IKE SA");
            let has_moved = sa.remote != before && sa.remote.ip() == self.seen();
            let states = xfrm::states(&lab.gateway);
            (has_moved && states.iter().all(is_here)).then_some(sa)
        };
        let sa = look_until(arrived)
            .unwrap_or_else(|| panic!("not at {self:?}: {:?}", xfrm::states(&lab.gateway)));
        let enough = octets(&sa) + 100_000;
        look_until(|| (octets(&gateway.sas()[0]) > enough).then_some(()))
            .unwrap_or_else(|| panic!("nothing comes from {self:?}: {:?}", gateway.sas()));
        sa
    }
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_client_moves_with_a_transfer_going_on() {
    // Also into UDP and out of it.
    const PLACES: [Place; 4] = [
        Place::new(3, false),
        Place::new(4, true),
        Place::new(5, true),
        Place::new(2, false),
    ];
    let (lab, gateway) = start(TUNNEL, "");
    lab.set_path(&Path::FRAGMENTS_DROPPED);
    // Else the other addresses of a network go with its first.
    lab.client
        .write("/proc/sys/net/ipv4/conf/all/promote_secondaries", "1");
    let settings = Settings {
        esp: Esp::Kernel,
        virtual_ips: vec![[0; 4].into()],
        mobike: true,
        ..Settings::initiator([0; 4].into(), V4.gateway, Credentials::client_psk(SECRET))
    };
    let client = Strongswan::start(&lab.client, settings);
    client.initiate().expect("the client connects");
    let (first, child) = settled(&lab, &gateway);
    let stream = Stream::start(&lab.client, (&lab.gateway, INSIDE));
    let (mut own, mut remote) = (V4.client, first.remote);
    for place in PLACES {
        place.enter(&lab, own);
        let sa = place.is_reached(&gateway, &lab, remote);
        (own, remote) = (place.own.into(), sa.remote);
        let (sa, same) = settled(&lab, &gateway);
        assert_eq!(spis_of_ike(&sa), spis_of_ike(&first), "{place:?}");
        assert_eq!(spis_of_esp(&same), spis_of_esp(&child), "{place:?}");
    }
    stream.stop();
}
