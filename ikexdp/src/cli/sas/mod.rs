//! `ikexdp sas`.

mod filter;
mod table;

use std::io::Write;
use std::iter;
use std::path::Path;

use clap::Args;

use self::filter::Filter;
use self::table::Rows;
use super::{CliError, Query, pages};
use crate::control::{ClientError, Request};
use crate::view::Sa;

#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    filter: Filter,
    /// Show the algorithms and how messages are cut as well, and below each its CHILD SAs
    #[arg(long, conflicts_with = "json")]
    wide: bool,
    #[command(flatten)]
    query: Query,
}

/// Shows SAs as they come: however many there are, one page of them is held.
pub(super) fn execute(options: &Options, out: &mut impl Write) -> Result<(), CliError> {
    let pages = pages(&options.query.daemon.socket).map(|page| {
        let mut page = page?;
        page.retain(|sa| options.filter.takes(sa));
        Ok(page)
    });
    if options.query.json {
        pages::json(pages, out)
    } else {
        // It has its titles even if nothing is in it.
        let mut rows = Rows::new(options.wide);
        for page in pages.chain(iter::once(Ok(Vec::new()))) {
            out.write_all(rows.show(&page?).as_bytes())?;
        }
        Ok(())
    }
}

/// Every IKE SA, page by page.
pub(super) fn pages(socket: &Path) -> impl Iterator<Item = Result<Vec<Sa>, ClientError>> {
    pages::pages(socket, |after| Request::Sas { after }, |sa: &Sa| sa.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Fragmentation;

    /// One that is up, for tests.
    pub(super) fn sa(id: u64) -> Sa {
        Sa {
            id,
            state: "established".to_owned(),
            connection: Some("staff".to_owned()),
            role: "responder".to_owned(),
            local: "192.0.2.1:4500".parse().unwrap(),
            remote: "198.51.100.7:4500".parse().unwrap(),
            initiator_spi: "0000000000000001".to_owned(),
            responder_spi: "0000000000000002".to_owned(),
            identity: Some("laptop.example".to_owned()),
            suite: Some("aes256-gcm16/prf-sha2-256/x25519".to_owned()),
            age_s: 3661,
            addresses: vec!["10.9.0.1".parse().unwrap()],
            fragmentation: Fragmentation {
                negotiated: true,
                datagram_len: 1280,
                received: 5,
                sent: 4,
            },
            children: Vec::new(),
        }
    }
}
