//! The guest itself: its kernel carries ESP between two strongSwans.
//!
//! What holds here between two strangers is what the other tests take for granted when ikexdp is one
//! of the two.

use harness::{
    credentials::{Credentials, SECRET},
    strongswan::{Esp, Settings, Strongswan},
    xfrm,
};

use crate::tunnel::{Tunnel, lab};

#[test]
#[ignore = "needs ESP in the kernel"]
fn two_strangers_have_a_tunnel() {
    let lab = lab();
    let ends = [&lab.client, &lab.gateway];
    for tunnel in Tunnel::ALL {
        tunnel.set_path(&lab);
        let settings = Settings {
            esp: Esp::Kernel,
            ..Settings::responder(tunnel.ends.gateway, Credentials::gateway_psk(SECRET))
        };
        let gateway = Strongswan::start(&lab.gateway, settings);
        let client = tunnel.client(&lab);
        client.initiate().expect("the client connects");
        tunnel.carries_traffic(&lab, &client);
        for end in ends {
            let states = xfrm::states(end);
            assert_eq!(states.len(), 2, "{tunnel:?}: {states:?}");
            assert!(states.iter().all(|state| state.packets > 0), "{states:?}");
        }
        client.stop();
        gateway.stop();
        for end in ends {
            assert_eq!(xfrm::states(end), []);
            assert_eq!(xfrm::policies(end), "");
        }
    }
}
