//! Events as lines.

use std::fmt;

use super::{Cause, Established, Event, HandshakeFailed, Happening};
use crate::listed::Listed;
use crate::view::Fragmentation;

/// In a line, with the parts that people look for first.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self
            .what
            .id()
            .map_or_else(|| "-".to_owned(), |id| id.to_string());
        let name = self.what.name();
        write!(f, "{}  {id:>5}  {name:<17}  {}", self.time, self.what)
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Established(sa) => write!(f, "{sa}"),
            Self::HandshakeFailed(failed) => write!(f, "{failed}"),
            Self::ChildEstablished { child, rekeyed, .. } => {
                write!(f, "{child}")?;
                match rekeyed {
                    Some(rekeyed) => write!(f, ", for {rekeyed}"),
                    None => Ok(()),
                }
            }
            Self::ChildRefused { reason, hint, .. } => with_hint(f, reason, hint.as_deref()),
            Self::ChildClosed { spi_in, .. } => write!(f, "{spi_in} in"),
            Self::Rekeyed { new, suite, .. } => write!(f, "now {new}, {suite}"),
            Self::RekeyRefused { reason, .. } => f.write_str(reason),
            Self::Moved { from, remote, .. } => write!(f, "{from} -> {remote}"),
            Self::Closed {
                connection,
                remote,
                identity,
                age_s,
                reason,
                told,
                ..
            } => {
                write!(f, "{identity} at {remote}, {connection}, after {age_s} s: ")?;
                with_cause(f, reason, told)
            }
            Self::NeedsIpFragments { remote, length, .. } => {
                write!(
                    f,
                    "{remote}: {length} octets, and no IKE fragmentation (RFC 7383)"
                )
            }
            Self::FragmentsLowered {
                remote,
                datagram_len,
                ..
            } => {
                write!(
                    f,
                    "{remote}: datagrams of {datagram_len} octets from now on"
                )
            }
            Self::CookiesOn {
                half_open,
                requests,
            } => {
                write!(f, "{half_open} half-open, {requests} requests in a second")
            }
            Self::CookiesOff { lasted_s, cookies } => {
                write!(f, "after {lasted_s} s and {cookies} cookies")
            }
            Self::Lost { events } => write!(f, "{events} events were not read in time"),
        }
    }
}

impl fmt::Display for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connection,
            remote,
            identity,
            suite,
            fragmentation,
            duration_ms,
            ..
        } = self;
        let Fragmentation { received, sent, .. } = fragmentation;
        write!(f, "{identity} at {remote}, {connection}, {suite}")?;
        if !self.addresses.is_empty() {
            write!(f, ", {}", Listed(&self.addresses))?;
        }
        write!(
            f,
            ", {duration_ms} ms, fragments: {received} in, {sent} out"
        )
    }
}

impl fmt::Display for HandshakeFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(identity) = &self.identity {
            write!(f, "{identity} at ")?;
        }
        write!(f, "{}: ", self.remote)?;
        with_cause(f, &self.reason, &self.told)
    }
}

fn with_cause(f: &mut fmt::Formatter<'_>, reason: &str, told: &Cause) -> fmt::Result {
    f.write_str(reason)?;
    if let Some(cause) = &told.cause {
        write!(f, "; most likely: {cause}")?;
    }
    if let Some(code) = told.windows.first() {
        write!(f, "; Windows shows {code}")?;
    }
    with_hint(f, "", told.hint.as_deref())
}

fn with_hint(f: &mut fmt::Formatter<'_>, reason: &str, hint: Option<&str>) -> fmt::Result {
    f.write_str(reason)?;
    match hint {
        Some(hint) => write!(f, "; hint: {hint}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::failed;
    use super::*;

    #[test]
    fn an_event_is_a_line_in_columns() {
        let line = |what| {
            let time = "2026-11-22T08:03:09.123Z".to_owned();
            Event { time, what }.to_string()
        };
        let spi_in = "0a0b0c0d".to_owned();
        assert_eq!(
            line(Happening::ChildClosed { id: 7, spi_in }),
            "2026-11-22T08:03:09.123Z      7  child_closed       0a0b0c0d in"
        );
        assert_eq!(
            line(failed()),
            "2026-11-22T08:03:09.123Z      -  handshake_failed   198.51.100.7:500: nothing fits; hint: look"
        );
    }
}
