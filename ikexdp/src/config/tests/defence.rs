//! The table `defence`.

use std::collections::BTreeSet;

use ikexdp_proto::config::{Cookies, Gate};

use super::super::Defence;
use super::{GOOD, Lab, assert_complaints};

fn with(table: &str) -> String {
    format!("{GOOD}\n[defence]\n{table}")
}

#[test]
fn without_a_table_the_defaults_hold() {
    let settings = Lab::new().load(GOOD).unwrap().settings;
    assert_eq!(settings.defence, Defence::default());
    assert_eq!(settings.engine.gate, Gate::default());
    assert!(settings.engine.gate.size_test);
    let silent = GOOD.replace("= 1280", "= 1280\nsize-test = false");
    let settings = Lab::new().load(&silent).unwrap().settings;
    assert!(!settings.engine.gate.size_test);
    // A gateway with little room has no more for one source.
    let small = GOOD.replace("= 1280", "= 1280\nhalf-open-max = 100");
    let settings = Lab::new().load(&small).unwrap().settings;
    assert_eq!(settings.engine.gate.half_open_per_source, 100);
}

#[test]
fn every_key_arrives() {
    let text = with(
        "cookies = \"always\"\ncookie-rate = 7\nhalf-open-per-source = 8\ninit-rate = 9\n\
         init-rate-per-source = 10\ninit-burst-per-source = 11\nsources = 12\nnode = 255\n\
         allow = [\"192.0.2.0/24\", \"2001:db8::/32\"]\nblock = [\"192.0.2.7\", \"::1\"]\n",
    );
    let loaded = Lab::new().load(&text).unwrap();
    assert!(loaded.cautions.is_empty(), "{:?}", loaded.cautions);
    let gate = loaded.settings.engine.gate;
    let expected = Gate {
        cookies: Cookies::Always,
        cookie_rate: 7,
        half_open_per_source: 8,
        init_rate: 9,
        init_rate_per_source: 10,
        init_burst_per_source: 11,
        ..Gate::default()
    };
    assert_eq!(gate, expected);
    let prefixes = |texts: [&str; 2]| -> BTreeSet<_> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    };
    let expected = Defence {
        sources: 12,
        node: 255,
        allow: prefixes(["192.0.2.0/24", "2001:db8::/32"]),
        block: prefixes(["192.0.2.7/32", "::1/128"]),
    };
    assert_eq!(loaded.settings.defence, expected);
    let summary = "
defence
  cookies    always
  half-open  16384 SAs at most, 8 of a source
  requests   10 a second of a source, 11 at once; 9 of all with cookies
  sources    12 known
  node       255
  prefixes   2 allowed, 2 blocked
";
    assert!(loaded.to_string().contains(summary), "{loaded}");
}

#[test]
fn what_is_wrong_with_it_is_named() {
    assert_complaints(
        r#"= 1280 => = 1280\n[defence]\ncookies = "sometimes" => defence.cookies: unknown value: sometimes & "automatic", "always", "off"
= 1280 => = 1280\n[defence]\ncookie-rate = 0 => defence.cookie-rate: not between 1 and
= 1280 => = 1280\n[defence]\nhalf-open-per-source = 0 => defence.half-open-per-source: not between 1 and
= 1280 => = 1280\n[defence]\nsources = 0 => defence.sources: not between 1 and
= 1280 => = 1280\n[defence]\nnode = 256 => defence.node: not between 0 and 255: 256
= 1280 => = 1280\n[defence]\nallow = ["everybody", "10.0.0.1/8"] => :6: defence.allow: neither a prefix nor an address: everybody & bits are set behind the prefix length & write "10.0.0.0/8"
= 1280 => = 1280\n[defence]\nallow = ["192.0.2.1"]\nblock = ["192.0.2.1/32"] => defence.block: is in `allow` as well: 192.0.2.1/32 & the longer decides
= 1280 => = 9\n[defence]\ncookies = "no" => gateway.fragment-size & defence.cookies"#,
    );
}

#[test]
fn what_is_hardly_meant_is_warned_of() {
    let lab = Lab::new();
    let text = GOOD.replace("= 1280", "= 1280\nallow-key-export = true");
    let cautions = lab.load(&text).unwrap().cautions;
    let keys: Vec<_> = cautions.iter().map(|caution| &caution.key).collect();
    assert_eq!(keys, ["gateway.allow-key-export"]);
    for (table, expected) in [
        ("cookies = \"off\"", "defence.cookies: forged addresses"),
        ("allow = [\"0.0.0.0/0\"]", "defence.allow: limits nobody"),
        ("block = [\"::/0\"]", "defence.block: keeps out everybody"),
    ] {
        let loaded = lab.load(&with(table)).unwrap();
        let [caution] = loaded.cautions.as_slice() else {
            panic!("one caution: {:?}", loaded.cautions);
        };
        assert!(caution.to_string().starts_with(expected), "{caution}");
    }
    let udp =
        with("sources = 9\ninit-rate = 9\nallow = [\"192.0.2.1\"]\nblock = [\"192.0.2.2\"]\n")
            .replace("\"xdp\"", "\"udp\"")
            .replace("interface = \"eth0\"\n", "");
    let cautions = lab.load(&udp).unwrap().cautions;
    let keys: Vec<_> = cautions.iter().map(|caution| &caution.key).collect();
    assert_eq!(keys, ["defence.sources"]);
}
