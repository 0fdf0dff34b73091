//! Honest clients, one after the other, and how long each takes to get in.

use std::{
    net::{IpAddr, Ipv4Addr},
    thread,
    time::Duration,
};

use ikexdp::clock::Clock;
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::time::Instant;

use crate::{
    credentials::{Credentials, SECRET},
    emulator::{Emulator, Ports, Proof, User, profile::Profile, strongswan_app},
    lab::{Ends, Lab, V4, address},
    pki::{GATEWAY, Key, Pki},
};

/// What the thread of a client is called, which panics when the client gives up.
pub const CLIENT: &str = "client";
/// Clients.
pub const CLIENTS: usize = 100;
/// Addresses that they share.
const ADDRESSES: u8 = 20;
/// Whom the gateway lets in.
const IDENTITIES: &str = "*@crowd.test";

/// Clients that have sent nothing.
pub struct Crowd(Vec<Emulator>);

/// How it went.
#[derive(Clone, Debug)]
pub struct Turnout {
    /// How long each client took that is in, the fastest first.
    pub times: Vec<Duration>,
}

impl Crowd {
    /// What the gateway knows of them.
    #[must_use]
    pub fn credentials() -> Credentials {
        Credentials::Psk {
            secret: SECRET.to_owned(),
            local_id: GATEWAY.to_owned(),
            remote_id: IDENTITIES.to_owned(),
        }
    }

    /// Addresses for a crowd on the client's machine of a lab.
    pub fn settle(lab: &Lab) {
        for number in 0..ADDRESSES {
            address(&lab.client, "eth0", &[&format!("{}/24", place(number))]);
        }
    }

    /// A crowd that has settled there.
    #[must_use]
    pub fn gather(lab: &Lab) -> Self {
        let root = Pki::new(Key::EcdsaP256).root;
        let client = |number: usize| {
            let user = User {
                identity: format!("laptop-{number}@crowd.test").parse().unwrap(),
                proof: Proof::SharedKey(SECRET.to_owned()),
                gateway: GATEWAY.parse().unwrap(),
                root: root.clone(),
            };
            let ends = Ends {
                client: place(number as u8 % ADDRESSES),
                gateway: V4.gateway,
            };
            Emulator::new(&lab.client, ends, Ports::Any, profile(), user)
        };
        Self((0..CLIENTS).map(client).collect())
    }

    /// Has one of them connect each `interval`, and waits for all; who gives up is not in.
    #[must_use]
    pub fn connect(self, interval: Duration) -> Turnout {
        let mut under_way = Vec::new();
        for mut client in self.0 {
            let connect = move || {
                let clock = Clock::start();
                client.connect().map(|()| clock.now().since(Instant::ZERO))
            };
            let thread = thread::Builder::new().name(CLIENT.to_owned());
            under_way.push(thread.spawn(connect).unwrap());
            thread::sleep(interval);
        }
        let times = under_way.into_iter().filter_map(|it| it.join().ok()?.ok());
        let mut times: Vec<Duration> = times.collect();
        times.sort();
        Turnout { times }
    }
}

impl Turnout {
    /// The time within which so many of a hundred got in of those that did, if there is any.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let place = (self.times.len() * percent / 100).min(self.times.len().checked_sub(1)?);
        Some(self.times[place])
    }
}

/// What each of them is: a client whose first guess at a group is what gateways like best.
#[must_use]
pub fn profile() -> Profile {
    let mut profile = strongswan_app();
    profile.client.group = Group::Curve25519;
    profile
}

/// An address of theirs.
fn place(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, 100 + number).into()
}
