//! The address of a gateway.

use std::net::{IpAddr, ToSocketAddrs};

use super::error::ProbeError;

/// Which addresses are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// The first that the name has, as clients take it.
    #[default]
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// The first address of `host` of that family, in the order that the system gives.
///
/// # Errors
/// [`ProbeError::Resolve`] or [`ProbeError::Family`].
pub fn resolve(host: &str, family: Family) -> Result<IpAddr, ProbeError> {
    let found = (host, 0).to_socket_addrs();
    let mut found = found.map_err(|source| ProbeError::Resolve {
        host: host.to_owned(),
        source,
    })?;
    let fits = found.find(|it| family.has(it.ip()));
    fits.map(|it| it.ip()).ok_or_else(|| ProbeError::Family {
        host: host.to_owned(),
        family: match family {
            Family::V6 => "IPv6",
            _ => "IPv4",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_they_are_and_held_to_their_family() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(resolve("192.0.2.1", Family::Any).unwrap(), v4);
        assert_eq!(resolve("192.0.2.1", Family::V4).unwrap(), v4);
        let error = resolve("192.0.2.1", Family::V6).unwrap_err();
        assert!(error.to_string().contains("no IPv6 address"), "{error}");
        assert!(resolve("2001:db8::1", Family::V6).unwrap().is_ipv6());
    }
}
