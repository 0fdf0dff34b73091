//! Who clients are, and how they prove it.

use std::str::FromStr;
use std::sync::Arc;

use ikexdp_eap::limits::NAME_LEN_MAX;
use ikexdp_eap::{NtHash, Password};
use ikexdp_proto::config::Credential;
use ikexdp_proto::identity::{Identity, UnreadableIdentity};

/// What stands for the number of a client, from 1, in an identity.
pub const NUMBER: &str = "{n}";

/// How clients prove who they are.
#[derive(Clone, Debug)]
pub enum Proof {
    /// All of them by the same.
    Same(Credential),
    /// By EAP-MSCHAPv2, each with a name of its own, and all with one password.
    Password {
        /// Their names.
        users: UserTemplate,
        /// What they know.
        hash: NtHash,
    },
}

impl Proof {
    /// Whether each client has another.
    pub(super) const fn is_numbered(&self) -> bool {
        match self {
            Self::Same(_) => false,
            Self::Password { users, .. } => users.is_numbered,
        }
    }

    /// That of the client `number`, from 1.
    pub(super) fn of(&self, number: u32) -> Credential {
        match self {
            Self::Same(credential) => credential.clone(),
            Self::Password { users, hash } => {
                Credential::Eap(Arc::new(Password::new(users.of(number), hash.clone())))
            }
        }
    }
}

/// The name by which each client is known to EAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserTemplate {
    name: String,
    is_numbered: bool,
}

impl UserTemplate {
    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// That of the client `number`, from 1.
    #[must_use]
    pub fn of(&self, number: u32) -> String {
        self.name.replace(NUMBER, &number.to_string())
    }
}

impl FromStr for UserTemplate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let template = Self {
            name: text.to_owned(),
            is_numbered: text.contains(NUMBER),
        };
        if text.is_empty() || template.of(u32::MAX).len() > NAME_LEN_MAX {
            return Err("not a name of 1 to 253 octets");
        }
        if text.contains(char::is_control) {
            return Err("a name has no control characters");
        }
        Ok(template)
    }
}

/// The identity of each client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityTemplate(Identity);

/// Why there are no identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text names nobody.
    #[error(transparent)]
    Unreadable(UnreadableIdentity),
    /// There is no place for a number in it.
    #[error("{NUMBER} can stand in a host name or in user@host only")]
    NoPlace,
}

impl IdentityTemplate {
    /// All clients have this one.
    #[must_use]
    pub const fn one(identity: Identity) -> Self {
        Self(identity)
    }

    /// Whether each client has another.
    #[must_use]
    pub fn is_numbered(&self) -> bool {
        matches!(
            &self.0,
            Identity::Fqdn(name) | Identity::Email(name) | Identity::User(name) if name.contains(NUMBER)
        )
    }

    /// That of the client `number`, from 1.
    #[must_use]
    pub fn of(&self, number: u32) -> Identity {
        let numbered = |name: &str| name.replace(NUMBER, &number.to_string());
        match &self.0 {
            Identity::Fqdn(name) => Identity::Fqdn(numbered(name)),
            Identity::Email(name) => Identity::Email(numbered(name)),
            Identity::User(name) => Identity::User(numbered(name)),
            other => other.clone(),
        }
    }
}

impl FromStr for IdentityTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let template = Self(text.parse().map_err(TemplateError::Unreadable)?);
        if text.contains(NUMBER) && !template.is_numbered() {
            return Err(TemplateError::NoPlace);
        }
        Ok(template)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_a_place_in_names() {
        let of = |text: &str| {
            let template: IdentityTemplate = text.parse().unwrap();
            (template.is_numbered(), template.of(7).to_string())
        };
        assert_eq!(of("user-{n}@a.test"), (true, "user-7@a.test".to_owned()));
        assert_eq!(of("c{n}.a.test"), (true, "c7.a.test".to_owned()));
        assert_eq!(of("user@a.test"), (false, "user@a.test".to_owned()));
        assert_eq!(of("192.0.2.1"), (false, "192.0.2.1".to_owned()));
        let wrong = |text: &str| text.parse::<IdentityTemplate>().unwrap_err();
        assert_eq!(wrong("CN=user-{n}"), TemplateError::NoPlace);
        assert_eq!(
            wrong("two words"),
            TemplateError::Unreadable(UnreadableIdentity)
        );
    }

    #[test]
    fn each_user_has_a_name() {
        let of = |text: &str| text.parse::<UserTemplate>().unwrap().of(7);
        assert_eq!(of("kim"), "kim");
        assert_eq!(of("CORP\\user {n}"), "CORP\\user 7");
        let long = "a".repeat(250);
        assert!(long.parse::<UserTemplate>().is_ok());
        for wrong in ["", "a\nb", &(long + "{n}")] {
            assert!(wrong.parse::<UserTemplate>().is_err(), "{wrong:?}");
        }
        let identity = IdentityTemplate::one(Identity::of_user("user-{n}"));
        assert!(identity.is_numbered());
        assert_eq!(identity.of(7), Identity::of_user("user-7"));
    }
}
