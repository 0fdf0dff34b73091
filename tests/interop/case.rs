//! A client, a path and the gateway, as most tests have them.

use harness::{
    credentials::{Credentials, SECRET},
    gateway::{Gateway, Setup},
    lab::{Ends, Lab, Path, V4},
    pki::{Key, Pki},
    strongswan::{Settings, Strongswan},
};

use crate::IKEXDP;

/// All that a test can vary.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) path: Path,
    pub(crate) gateway: Setup,
    pub(crate) client: Settings,
}

impl Case {
    /// A client and the gateway with a common secret, on a path that drops IP fragments.
    pub(crate) fn psk(ends: Ends) -> Self {
        Self::new(
            ends,
            Credentials::client_psk(SECRET),
            Credentials::gateway_psk(SECRET),
        )
    }

    /// The same with chains of certificates.
    pub(crate) fn certificates(ends: Ends, key: Key) -> Self {
        let pki = Pki::new(key);
        Self::new(ends, Credentials::client(&pki), Credentials::gateway(&pki))
    }

    /// A client and the gateway with these credentials, on a path that drops IP fragments.
    pub(crate) fn new(ends: Ends, client: Credentials, gateway: Credentials) -> Self {
        let any = if ends == V4 {
            [0; 4].into()
        } else {
            [0; 16].into()
        };
        Self {
            path: Path::FRAGMENTS_DROPPED,
            gateway: Setup::new(gateway),
            client: Settings {
                virtual_ips: vec![any],
                ..Settings::initiator(ends.client, ends.gateway, client)
            },
        }
    }

    /// Starts everything; the client has not connected.
    pub(crate) fn start(&self) -> (Lab, Gateway, Strongswan) {
        let (lab, gateway) = self.start_gateway();
        let client = Strongswan::start(&lab.client, self.client.clone());
        (lab, gateway, client)
    }

    /// Starts everything but the client.
    pub(crate) fn start_gateway(&self) -> (Lab, Gateway) {
        let lab = Lab::new();
        lab.set_path(&self.path);
        let gateway = Gateway::start(IKEXDP, &lab.gateway, &self.gateway);
        (lab, gateway)
    }
}
