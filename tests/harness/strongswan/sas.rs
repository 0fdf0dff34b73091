//! What `swanctl --list-sas --raw` prints.
//!
//! ```text
//! list-sa event {NAME {key=value key=[value value] child-sas {NAME {key=value}}}}
//! ```

use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value};

/// An IKE SA of strongSwan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IkeSa {
    /// `ESTABLISHED`, `CONNECTING` and others.
    pub state: String,
    /// The own end, as it is before any NAT.
    pub local: SocketAddr,
    /// The peer's end, as it is behind any NAT.
    pub remote: SocketAddr,
    /// Chosen by the initiator.
    pub initiator_spi: u64,
    /// Chosen by the responder; 0 before its first answer.
    pub responder_spi: u64,
    /// The addresses that an initiator was given.
    pub virtual_ips: Vec<IpAddr>,
    /// The CHILD SAs.
    pub children: Vec<ChildSa>,
}

/// A CHILD SA of strongSwan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildSa {
    /// `INSTALLED` and others.
    pub state: String,
    /// Of ESP packets that this end receives.
    pub spi_in: u32,
    /// Of ESP packets that this end sends.
    pub spi_out: u32,
    /// ESP packets received.
    pub packets_in: u64,
    /// ESP packets sent.
    pub packets_out: u64,
    /// What the own end sends from, in strongSwan's notation.
    pub local_ts: Vec<String>,
    /// What the own end sends to.
    pub remote_ts: Vec<String>,
}

/// Reads the whole output: one line an IKE SA, and a last line of another kind.
pub(super) fn parse(text: &str) -> Vec<IkeSa> {
    text.lines()
        .filter_map(|line| line.strip_prefix("list-sa event {"))
        .flat_map(ike_sas)
        .collect()
}

fn ike_sas(text: &str) -> Vec<IkeSa> {
    let spaced = ["{", "}", "[", "]"]
        .iter()
        .fold(text.to_owned(), |text, sign| {
            text.replace(sign, &format!(" {sign} "))
        });
    section(&mut spaced.split_whitespace())
        .values()
        .map(ike_sa)
        .collect()
}

/// Reads up to the brace that closes the section.
fn section<'a>(words: &mut impl Iterator<Item = &'a str>) -> Map<String, Value> {
    let mut section_ = Map::new();
    while let Some(word) = words.next().filter(|word| *word != "}") {
        let (key, value) = match word.split_once('=') {
            None => {
                assert_eq!(words.next(), Some("{"), "after {word}");
                (word, Value::Object(section(words)))
            }
            Some((key, "")) => {
                assert_eq!(words.next(), Some("["), "after {word}");
                (key, words.take_while(|word| *word != "]").collect())
            }
            Some((key, value)) => (key, Value::from(value)),
        };
        section_.insert(key.to_owned(), value);
    }
    section_
}

fn ike_sa(sa: &Value) -> IkeSa {
    let end = |host: &str, port: &str| {
        SocketAddr::new(
            text(sa, host).parse().unwrap(),
            text(sa, port).parse().unwrap(),
        )
    };
    let children = sa["child-sas"]
        .as_object()
        .into_iter()
        .flat_map(Map::values);
    IkeSa {
        state: text(sa, "state"),
        local: end("local-host", "local-port"),
        remote: end("remote-host", "remote-port"),
        initiator_spi: u64::from_str_radix(&text(sa, "initiator-spi"), 16).unwrap(),
        responder_spi: u64::from_str_radix(&text(sa, "responder-spi"), 16).unwrap(),
        virtual_ips: texts(sa, "local-vips")
            .iter()
            .map(|address| address.parse().unwrap())
            .collect(),
        children: children.map(child_sa).collect(),
    }
}

fn child_sa(sa: &Value) -> ChildSa {
    ChildSa {
        state: text(sa, "state"),
        spi_in: u32::from_str_radix(&text(sa, "spi-in"), 16).unwrap(),
        spi_out: u32::from_str_radix(&text(sa, "spi-out"), 16).unwrap(),
        packets_in: text(sa, "packets-in").parse().unwrap(),
        packets_out: text(sa, "packets-out").parse().unwrap(),
        local_ts: texts(sa, "local-ts"),
        remote_ts: texts(sa, "remote-ts"),
    }
}

fn text(sa: &Value, key: &str) -> String {
    sa[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} in {sa}"))
        .to_owned()
}

/// A list; empty where strongSwan leaves it out.
fn texts(sa: &Value, key: &str) -> Vec<String> {
    sa[key]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_established_sa_is_read() {
        let text = "list-sa event {lab {uniqueid=1 state=ESTABLISHED local-host=2001:db8:1::2 local-port=4500 \
                    remote-host=2001:db8:2::2 remote-port=4500 initiator-spi=155ad805eb246b67 \
                    responder-spi=32d9e66c4d50e808 local-vips=[10.9.0.1 2001:db8:9::1] child-sas {lab-1 {name=lab \
                    state=INSTALLED spi-in=78eb4bda spi-out=7334f3c1 packets-in=1 packets-out=2 \
                    local-ts=[10.9.0.1/32] remote-ts=[0.0.0.0/0 ::/0]}}}}\n\
                    list-sas reply {}\n";
        let child = ChildSa {
            state: "INSTALLED".to_owned(),
            spi_in: 0x78eb_4bda,
            spi_out: 0x7334_f3c1,
            packets_in: 1,
            packets_out: 2,
            local_ts: vec!["10.9.0.1/32".to_owned()],
            remote_ts: vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()],
        };
        let sa = IkeSa {
            state: "ESTABLISHED".to_owned(),
            local: "[2001:db8:1::2]:4500".parse().unwrap(),
            remote: "[2001:db8:2::2]:4500".parse().unwrap(),
            initiator_spi: 0x155a_d805_eb24_6b67,
            responder_spi: 0x32d9_e66c_4d50_e808,
            virtual_ips: vec![
                "10.9.0.1".parse().unwrap(),
                "2001:db8:9::1".parse().unwrap(),
            ],
            children: vec![child],
        };
        assert_eq!(parse(text), [sa]);
    }

    #[test]
    fn no_sa_is_no_line() {
        assert_eq!(parse("list-sas reply {}\n"), []);
    }
}
