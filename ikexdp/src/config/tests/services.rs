//! The gateway's own address in the tunnel, and DHCP.

use std::net::Ipv4Addr;

use super::{GOOD, Lab, assert_complaints};

const BEFORE: &str = "dns = [\"10.0.0.53\"]\n";

/// The good file, with DHCP from the first address of its pool, and with these
/// networks behind the gateway.
fn with_dhcp(networks: &str) -> String {
    let pool = "domains = [\"corp.example.com\"]\ngateway-addresses = [\"10.9.0.1\", \"2001:db8:9::1\"]\ndhcp = true\n";
    GOOD.replace(BEFORE, &format!("{BEFORE}{pool}"))
        .replace("[\"0.0.0.0/0\", \"::/0\"]", networks)
}

#[test]
fn the_gateways_addresses_are_no_clients() {
    let loaded = Lab::new().load(&with_dhcp("[\"192.0.2.0/24\"]")).unwrap();
    assert!(loaded.cautions.is_empty(), "{:?}", loaded.cautions);
    let pool = &loaded.settings.engine.pools[0];
    let own: Vec<_> = pool.gateway.iter().map(ToString::to_string).collect();
    assert_eq!(own, ["10.9.0.1", "2001:db8:9::1"]);
    let (first, last) = pool.v4.unwrap();
    assert_eq!(
        [first.to_string(), last.to_string()],
        ["10.9.0.2", "10.9.0.254"]
    );
    assert_eq!(pool.v6.unwrap().0.to_string(), "2001:db8:9::2");
    let shown = loaded.to_string();
    for row in [
        "  gateway    10.9.0.1, 2001:db8:9::1\n",
        "  dhcp       answered from 10.9.0.1\n",
        "  reaches    192.0.2.0/24\n",
    ] {
        assert!(shown.contains(row), "{row}: {shown}");
    }
}

#[test]
fn dhcp_needs_no_network_of_its_own() {
    let lab = Lab::new();
    let loaded = lab.load(&with_dhcp("[\"192.0.2.0/24\"]")).unwrap();
    let child = &loaded.settings.engine.connections[0].child;
    let shown = |selectors: &[_]| -> Vec<String> {
        let selectors = selectors.iter();
        selectors
            .map(|it: &ikexdp_proto::wire::payload::ts::TrafficSelector| it.to_string())
            .collect()
    };
    assert_eq!(shown(&child.local), ["192.0.2.0/24"]);
    assert_eq!(
        shown(&child.services),
        ["255.255.255.255/32", "10.9.0.1/32"]
    );
    let [scope] = loaded.settings.dhcp.as_slice() else {
        panic!("one connection: {:?}", loaded.settings.dhcp);
    };
    assert_eq!(scope.connection, "staff");
    assert_eq!(scope.gateway, Ipv4Addr::new(10, 9, 0, 1));
    assert_eq!(scope.name_servers, [Ipv4Addr::new(10, 0, 0, 53)]);
    assert_eq!(scope.domains, ["corp.example.com"]);
    // Without it there is nothing of it.
    for off in ["", "dhcp = false"] {
        let text = with_dhcp("[\"192.0.2.0/24\"]").replace("dhcp = true", off);
        let loaded = lab.load(&text).unwrap();
        assert!(
            loaded.settings.engine.connections[0]
                .child
                .services
                .is_empty()
        );
        assert!(loaded.settings.dhcp.is_empty());
        assert_eq!(loaded.settings.engine.pools[0].gateway.len(), 2);
    }
}

#[test]
fn where_nothing_is_carried_nobody_asks() {
    let text = with_dhcp("[\"::/0\"]").replace("[gateway]\n", "[gateway]\ndata-plane = \"none\"\n");
    let loaded = Lab::new().load(&text).unwrap();
    let cautions: Vec<_> = loaded.cautions.iter().map(ToString::to_string).collect();
    let [caution] = cautions.as_slice() else {
        panic!("one caution: {cautions:?}");
    };
    assert!(
        caution.contains("pool.staff.dhcp: has no effect"),
        "{caution}"
    );
    // A daemon that was started with another data plane keeps that.
    assert_eq!(loaded.settings.dhcp.len(), 1);
}

#[test]
fn dhcp_is_refused_where_policies_let_packets_in_the_clear_pass() {
    let dhcp = with_dhcp("[\"192.0.2.0/24\"]");
    for (key, bound) in [("if-id", "if-id = 7"), ("mark", "mark = \"0x10/0xff\"")] {
        let pool = "pool = \"staff\"\n";
        let text = dhcp.replace(pool, &format!("{pool}{bound}\n"));
        let problem = Lab::new().load(&text).unwrap_err().to_string();
        let expected = format!("connection.staff.{key}: does not go with `dhcp` in the pool");
        assert!(problem.contains(&expected), "{problem}");
        // Without DHCP there is nothing to object to.
        let text = text.replace("dhcp = true", "dhcp = false");
        assert!(Lab::new().load(&text).is_ok(), "{text}");
    }
}

#[test]
fn what_is_wrong_with_services_is_named() {
    assert_complaints(
        r#"dns = => gateway-addresses = ["here"]\ndns = => :9: pool.staff.gateway-addresses: not an address: here
dns = => gateway-addresses = ["0.0.0.0"]\ndns = => pool.staff.gateway-addresses: not an address of a host: 0.0.0.0
dns = => gateway-addresses = ["127.0.0.1"]\ndns = => not an address of a host: 127.0.0.1
dns = => gateway-addresses = ["255.255.255.255"]\ndns = => not an address of a host: 255.255.255.255
dns = => gateway-addresses = ["ff02::1"]\ndns = => not an address of a host: ff02::1
dns = => gateway-addresses = ["10.8.0.1", "10.8.0.2"]\ndns = => second address of its family: 10.8.0.2 & keep one
dns = => gateway-addresses = ["10.9.0.2"]\ndns = => is among the addresses for clients: 10.9.0.2 & take the first of the pool
dns = => gateway-addresses = ["2001:db8:9::5"]\ndns = => is among the addresses for clients: 2001:db8:9::5
"10.9.0.0/24", "2001:db8:9::/112"]\n => "10.9.0.7/32"]\ngateway-addresses = ["10.9.0.7"]\n => is among the addresses for clients: 10.9.0.7
dns = => dhcp = true\ndns = => :9: pool.staff.dhcp: has no IPv4 address to answer from & gateway-addresses = ["10.9.0.1"]
dns = => gateway-addresses = ["fd00::1"]\ndhcp = true\ndns = => pool.staff.dhcp: has no IPv4 address to answer from
dns = => dhcp = "yes"\ndns = => pool.dhcp: invalid type
[[connection]] => [[pool]]\nname = "lab"\naddresses = ["10.7.0.0/24"]\ngateway-addresses = ["10.9.0.9"]\n[[connection]] => pool.lab.gateway-addresses: is among the addresses for clients: 10.9.0.9"#,
    );
}
