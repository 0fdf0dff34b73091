//! IKE SAs in columns.

use crate::cli::amount::{age, short};
use crate::cli::table::Table;
use crate::listed::Listed;
use crate::view::{Child, Fragmentation, Sa, Usage};

/// What fits in a line of a terminal.
const TITLES: [&str; 9] = [
    "id",
    "state",
    "connection",
    "peer",
    "identity",
    "addresses",
    "age",
    "received",
    "sent",
];

/// And what does not.
const FURTHER: [&str; 3] = ["suite", "fragments", "datagrams"];

/// A table that is written piece by piece.
pub(super) struct Rows {
    table: Table,
    wide: bool,
}

impl Rows {
    /// The titles; `wide` has all there is.
    pub(super) fn new(wide: bool) -> Self {
        let mut table = Table::default();
        let further = FURTHER.iter().filter(|_| wide);
        let titles = TITLES.iter().chain(further);
        table.row(titles.map(|title| (*title).to_owned()));
        Self { table, wide }
    }

    /// The next lines.
    pub(super) fn show(&mut self, sas: &[Sa]) -> String {
        for sa in sas {
            self.row(sa);
            if self.wide {
                sa.children.iter().for_each(|child| self.child(child));
            }
        }
        self.table.take()
    }

    fn row(&mut self, sa: &Sa) {
        let unknown = || "-".to_owned();
        let carried = |of: fn(&Child) -> Option<Usage>| {
            let children = sa.children.iter().map(of);
            let octets: Option<u64> = children
                .map(|usage| usage.map(|usage| usage.octets))
                .try_fold(0_u64, |sum, octets| Some(sum.saturating_add(octets?)));
            let octets = octets.filter(|_| !sa.children.is_empty());
            octets.map_or_else(unknown, short)
        };
        let mut cells = vec![
            sa.id.to_string(),
            sa.state.clone(),
            sa.connection.clone().unwrap_or_else(unknown),
            sa.remote.to_string(),
            sa.identity.clone().unwrap_or_else(unknown),
            Listed(&sa.addresses).to_string(),
            age(sa.age_s),
            carried(|child| child.received),
            carried(|child| child.sent),
        ];
        if self.wide {
            let Fragmentation {
                negotiated,
                datagram_len,
                received,
                sent,
            } = sa.fragmentation;
            cells.extend([
                sa.suite.clone().unwrap_or_else(unknown),
                if negotiated {
                    format!("{received} in, {sent} out")
                } else {
                    "not negotiated".to_owned()
                },
                format!("{datagram_len} octets"),
            ]);
        }
        self.table.row(cells);
    }

    fn child(&mut self, child: &Child) {
        self.table.line(&format!("    child {child}"));
        if let (Some(received), Some(sent)) = (child.received, child.sent) {
            self.table.line(&format!(
                "      received {} octets in {} packets, sent {} octets in {} packets",
                received.octets, received.packets, sent.octets, sent.packets
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sas::tests::sa;

    fn child(octets: u64) -> Child {
        Child {
            spi_in: "0a0b0c0d".to_owned(),
            spi_out: "01020304".to_owned(),
            suite: "aes256-gcm16".to_owned(),
            local: vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()],
            remote: vec!["10.9.0.1/32".to_owned()],
            received: Some(Usage {
                octets,
                packets: 10,
            }),
            sent: Some(Usage {
                octets: 84,
                packets: 1,
            }),
        }
    }

    fn half_open(id: u64) -> Sa {
        Sa {
            state: "half-open".to_owned(),
            connection: None,
            identity: None,
            suite: None,
            age_s: 2,
            addresses: Vec::new(),
            ..sa(id)
        }
    }

    #[test]
    fn an_sa_is_a_line_that_fits_on_a_terminal() {
        let mut first = sa(7);
        first.children = vec![child(840), child(1_000_000)];
        let expected = "\
id    state        connection  peer               identity        addresses  age    received  sent
   7  established  staff       198.51.100.7:4500  laptop.example  10.9.0.1   1h 1m      1.0M  168
1234  half-open    -           198.51.100.7:4500  -                          2s     -         -
";
        assert_eq!(Rows::new(false).show(&[first, half_open(1234)]), expected);
        assert!(expected.lines().all(|line| line.len() <= 120));
    }

    #[test]
    fn wide_rows_have_their_children_below() {
        let mut first = sa(7);
        first.children = vec![child(840)];
        let mut second = half_open(8);
        second.fragmentation.negotiated = false;
        let expected = "\
id  state        connection  peer               identity        addresses  age    received  sent  suite                             fragments       datagrams
 7  established  staff       198.51.100.7:4500  laptop.example  10.9.0.1   1h 1m       840    84  aes256-gcm16/prf-sha2-256/x25519  5 in, 4 out     1280 octets
    child 0a0b0c0d in, 01020304 out, aes256-gcm16: 0.0.0.0/0, ::/0 <-> 10.9.0.1/32
      received 840 octets in 10 packets, sent 84 octets in 1 packets
 8  half-open    -           198.51.100.7:4500  -                          2s     -         -     -                                 not negotiated  1280 octets
";
        assert_eq!(Rows::new(true).show(&[first, second]), expected);
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_not_zero() {
        let mut first = sa(7);
        let untold = Child {
            received: None,
            sent: None,
            ..child(840)
        };
        first.children = vec![child(840), untold];
        let shown = Rows::new(false).show(&[first]);
        assert!(shown.ends_with("1h 1m  -         -\n"), "{shown}");
    }
}
