//! Which sessions a request is for.

use std::fmt;
use std::net::IpAddr;

use super::super::session::Session;

/// What sessions must have to be ended; at least one thing, and all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// The table whose server asks: it ends only whom its servers let in.
    pub(super) table: String,
    pub(super) session: Option<String>,
    pub(super) user: Option<String>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) calling_station: Option<String>,
}

impl Selector {
    /// Whether it selects the session of an IKE SA with these addresses.
    #[must_use]
    pub fn selects(&self, session: &Session, addresses: &[IpAddr]) -> bool {
        let is = |wanted: &Option<String>, actual: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == actual)
        };
        self.table == session.table()
            && is(&self.session, &session.id().to_string())
            && is(&self.user, session.user())
            && is(&self.calling_station, &session.calling_station())
            && self.addresses.iter().all(|it| addresses.contains(it))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.session.is_none()
            && self.user.is_none()
            && self.calling_station.is_none()
            && self.addresses.is_empty()
    }
}

/// One line for people. Whoever asks knows the secret, but texts are escaped all the
/// same.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (name, text) in [
            ("session", &self.session),
            ("user", &self.user),
            ("calling station", &self.calling_station),
        ] {
            if let Some(text) = text {
                write!(f, "{separator}{name} {}", text.escape_debug())?;
                separator = ", ";
            }
        }
        for address in &self.addresses {
            write!(f, "{separator}address {address}")?;
            separator = ", ";
        }
        Ok(())
    }
}
