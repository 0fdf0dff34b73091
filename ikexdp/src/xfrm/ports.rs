//! Ports as the kernel selects them: bits that are looked at, and their value.

use ikexdp_proto::wire::payload::ts::TrafficSelector;

use super::traffic::Inexpressible;

/// A power of two of ports that begins at a multiple of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ports {
    pub(super) value: u16,
    /// No bit of it stands for every port.
    pub(super) mask: u16,
}

impl Ports {
    /// Every port.
    pub(super) const ANY: Self = Self { value: 0, mask: 0 };

    const fn exactly(value: u16) -> Self {
        let mask = u16::MAX;
        Self { value, mask }
    }

    /// The fewest that together are the ports from `first` to `last`: 30 at most.
    pub(super) fn cover(first: u16, last: u16) -> Vec<Self> {
        let (mut next, last) = (u32::from(first), u32::from(last));
        let mut blocks = Vec::new();
        while next <= last {
            let left = last.saturating_sub(next).saturating_add(1);
            // As large as where it begins allows, and as what is left.
            let size = next.trailing_zeros().min(left.ilog2()).min(u16::BITS);
            let mask = u16::MAX.checked_shl(size).unwrap_or(0);
            let value = u16::try_from(next).unwrap_or(u16::MAX);
            blocks.push(Self { value, mask });
            next = next.saturating_add(1_u32 << size);
        }
        blocks
    }
}

/// Whether the protocol has types and codes where others have ports: ICMP,
/// ICMPv6 and Mobility Headers.
pub(super) const fn has_types(protocol: u8) -> bool {
    matches!(protocol, 1 | 58 | 135)
}

/// The ports that `selector` selects.
///
/// # Errors
/// [`Inexpressible::Opaque`].
pub(super) fn ports(selector: &TrafficSelector) -> Result<Vec<Ports>, Inexpressible> {
    if selector.start_port > selector.end_port {
        return Err(Inexpressible::Opaque);
    }
    Ok(Ports::cover(selector.start_port, selector.end_port))
}

/// The type and the code that both selectors select. Either may say it, or both
/// the same: it is that of the packet, whichever way this goes.
///
/// ```text
/// | type (8) | code (8) |       in place of a port (RFC 7296 §3.13.1)
/// ```
///
/// # Errors
/// [`Inexpressible::Types`] unless it is everything, one type, or one code of it.
pub(super) fn types(
    local: &TrafficSelector,
    remote: &TrafficSelector,
) -> Result<(Ports, Ports), Inexpressible> {
    let range = |selector: &TrafficSelector| (selector.start_port, selector.end_port);
    const ANY: (u16, u16) = (0, u16::MAX);
    let (first, last) = match (range(local), range(remote)) {
        (ANY, range) | (range, ANY) => range,
        (local, remote) if local == remote => local,
        _ => return Err(Inexpressible::Types),
    };
    let [kind, code] = first.to_be_bytes();
    let kind = Ports::exactly(kind.into());
    match (last.checked_sub(first), code) {
        (Some(u16::MAX), _) => Ok((Ports::ANY, Ports::ANY)),
        (Some(0), code) => Ok((kind, Ports::exactly(code.into()))),
        (Some(0xff), 0) => Ok((kind, Ports::ANY)),
        _ => Err(Inexpressible::Types),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(ports: (u16, u16)) -> TrafficSelector {
        TrafficSelector {
            protocol: 1,
            start_port: ports.0,
            end_port: ports.1,
            ..TrafficSelector::host("192.0.2.1".parse().unwrap())
        }
    }

    /// Each port is in one block if it is between the two, and else in none.
    #[test]
    fn blocks_cover_what_they_should_once() {
        for (first, last, count) in [
            (0, u16::MAX, 1),
            (1, u16::MAX - 1, 30),
            (80, 80, 1),
            (0, 0, 1),
            (u16::MAX, u16::MAX, 1),
            (1024, u16::MAX, 6),
            (5000, 5003, 1),
            (5001, 5004, 3),
        ] {
            let blocks = Ports::cover(first, last);
            assert_eq!(blocks.len(), count, "{first}-{last}: {blocks:?}");
            for port in 0..=u16::MAX {
                let holds = |block: &&Ports| port & block.mask == block.value;
                let times = blocks.iter().filter(holds).count();
                assert_eq!(times, usize::from(first <= port && port <= last), "{port}");
            }
        }
    }

    #[test]
    fn a_type_or_a_code_of_it_can_be_selected() {
        let any = selector((0, u16::MAX));
        let exactly = Ports::exactly;
        for (local, remote, expected) in [
            (any, any, Ok((Ports::ANY, Ports::ANY))),
            (
                any,
                selector((0x0800, 0x08ff)),
                Ok((exactly(8), Ports::ANY)),
            ),
            (
                selector((0x0301, 0x0301)),
                any,
                Ok((exactly(3), exactly(1))),
            ),
            (
                selector((0, 0)),
                selector((0, 0)),
                Ok((exactly(0), exactly(0))),
            ),
            (selector((0, 0xff)), any, Ok((exactly(0), Ports::ANY))),
            (selector((0x0300, 0x0304)), any, Err(Inexpressible::Types)),
            (
                selector((0, 0)),
                selector((1, 1)),
                Err(Inexpressible::Types),
            ),
            (selector((u16::MAX, 0)), any, Err(Inexpressible::Types)),
        ] {
            assert_eq!(types(&local, &remote), expected, "{local:?} {remote:?}");
        }
    }

    #[test]
    fn opaque_ports_are_refused() {
        assert_eq!(ports(&selector((u16::MAX, 0))), Err(Inexpressible::Opaque));
    }
}
