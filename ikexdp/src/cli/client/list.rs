//! `ikexdp client list`.

use std::io::Write;

use super::Place;
use crate::cli::CliError;
use crate::clock::unix_time;
use crate::pki::{Client, Directory, Index, Kind, Moment};

pub(super) fn execute(json: bool, place: Place, out: &mut impl Write) -> Result<(), CliError> {
    let index = Index::load(&Directory::new(place.directory))?;
    if json {
        serde_json::to_writer_pretty(&mut *out, &index.clients).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        out.write_all(table(&index.clients, unix_time().into()).as_bytes())?;
    }
    Ok(())
}

fn table(clients: &[Client], now: Moment) -> String {
    if clients.is_empty() {
        return "no clients; `ikexdp client add` makes one\n".to_owned();
    }
    let heading = ["name", "kind", "for", "identity", "since", "state"].map(str::to_owned);
    let mut rows = vec![heading];
    rows.extend(clients.iter().map(|client| {
        let kind = match client.kind {
            Kind::Certificate => "certificate",
            Kind::Eap => "eap",
        };
        [
            client.name.to_string(),
            kind.to_owned(),
            client.platform.clone(),
            client.identity.clone(),
            client.issued.day(),
            state(client, now),
        ]
    }));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths);
        let line: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text += line.join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn state(client: &Client, now: Moment) -> String {
    match (client.revoked, client.expires) {
        (Some(revoked), _) => format!("revoked {}", revoked.day()),
        (None, Some(expires)) if expires < now => format!("expired {}", expires.day()),
        (None, Some(expires)) => format!("until {}", expires.day()),
        (None, None) => "valid".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_a_line() {
        let now = Moment::from_seconds(1_795_305_600);
        let client = |name: &str, kind, expires, revoked| Client {
            name: name.parse().unwrap(),
            kind,
            platform: "linux".to_owned(),
            identity: format!("{name}@example.com"),
            serial: None,
            issued: Moment::from_seconds(1_790_000_000),
            expires,
            revoked,
        };
        let clients = [
            client("a", Kind::Certificate, Some(now.after_days(1)), None),
            client("bb", Kind::Certificate, Some(now.before(1)), None),
            client("ccc", Kind::Eap, None, None),
            client("d", Kind::Eap, None, Some(now)),
        ];
        let expected = "\
name  kind         for    identity         since       state
a     certificate  linux  a@example.com    2026-09-21  until 2026-11-23
bb    certificate  linux  bb@example.com   2026-09-21  expired 2026-11-21
ccc   eap          linux  ccc@example.com  2026-09-21  valid
d     eap          linux  d@example.com    2026-09-21  revoked 2026-11-22
";
        assert_eq!(table(&clients, now), expected);
        assert!(table(&[], now).starts_with("no clients"));
    }
}
