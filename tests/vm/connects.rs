//! The daemon, over XDP in the driver, and clients whose kernel has ESP.

use std::collections::BTreeSet;

use harness::{
    credentials::{Credentials, SECRET},
    datagram::Encapsulation,
    gateway::{Gateway, Setup},
    xfrm,
};

use crate::{
    IKEXDP,
    tunnel::{Tunnel, lab},
};

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_client_installs_what_was_agreed() {
    let lab = lab();
    let setup = Setup::new(Credentials::gateway_psk(SECRET));
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
    for tunnel in Tunnel::ALL {
        tunnel.set_path(&lab);
        let client = tunnel.client(&lab);
        client.initiate().expect("the client connects");

        let sa = &gateway.sas()[0];
        let agreed = [&sa.children[0].spi_in, &sa.children[0].spi_out];
        let states = xfrm::states(&lab.client);
        let installed: BTreeSet<_> = states
            .iter()
            .map(|state| format!("{:08x}", state.spi))
            .collect();
        assert_eq!(installed, agreed.map(String::clone).into());
        let in_udp = tunnel.encapsulation == Encapsulation::Udp;
        assert!(
            states.iter().all(|state| state.in_udp == in_udp),
            "{states:?}"
        );
        assert_eq!(sa.addresses, client.sas()[0].virtual_ips);
        client.stop();
        assert_eq!(gateway.sas(), []);
    }
    let handled = |name| gateway.count(|stats| &stats.daemon, name);
    assert!(handled("frame_replied") > 0 && handled("udp_received") == 0);
}
