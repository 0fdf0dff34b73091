//! What clients want of certificates, and what they see.
//!
//! Windows takes a gateway whose certificate is for serverAuth and has what the user typed among its
//! dNSNames, an address as well; Apple's clients want both a dNSName and an iPAddress for an address;
//! others want the identity that the gateway shows.

use std::net::IpAddr;

use ikexdp_proto::identity::Identity;
use ikexdp_proto::wire::iana::{AuthMethod, ExchangeType};

use super::certificate::{AlternativeName, CLIENT_AUTH, Certificate, Key, SERVER_AUTH};
use super::{Inside, Opened, Remark, Weight};
use crate::model::Attempt;
use crate::time::Moment;
use crate::verdict::Direction;

/// What is notable about what both sides show.
pub(super) fn remarks(attempt: &Attempt, inside: &Inside, dialed: Option<&str>) -> Vec<Remark> {
    let client = Client::of(attempt);
    let mut remarks = Remarks::default();
    for about in [Direction::FromGateway, Direction::FromClient] {
        let from = |opened: &&Opened| opened.direction == about;
        let messages = || inside.messages.iter().filter(from);
        let shown = messages().find(|opened| !opened.facts.certificates.is_empty());
        if let Some(opened) = shown {
            remarks.about = about;
            remarks.chain(opened, client);
        }
        let auth = messages().find_map(|opened| opened.facts.auth);
        if let Some((method, _)) = auth {
            remarks.about = about;
            remarks.method(method, client);
        }
    }
    let gateway = inside.messages.iter().find_map(|opened| {
        let leaf = opened.facts.certificates.first()?.as_ref()?;
        (opened.direction == Direction::FromGateway).then_some(leaf)
    });
    if let Some(leaf) = gateway {
        remarks.about = Direction::FromGateway;
        remarks.names(leaf, &wanted(inside, dialed), client);
    }
    let rekey = inside.messages.iter().filter_map(|opened| {
        let is_rekey = opened.exchange == ExchangeType::CREATE_CHILD_SA;
        Some((opened.direction, opened.facts.status.filter(|_| is_rekey)?))
    });
    for (about, status) in rekey.take(REFUSALS_SHOWN) {
        remarks.about = about;
        remarks.note(format!("rekey refused with {status}"));
    }
    remarks.all
}

/// Refusals to replace an SA that are remarked: others say the same.
const REFUSALS_SHOWN: usize = 4;

/// Who has to like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Windows,
    Apple,
    Other,
}

impl Client {
    fn of(attempt: &Attempt) -> Self {
        match attempt.client_is {
            Some(name) if name.contains("Windows") => Self::Windows,
            Some(name) if name.contains("Apple") => Self::Apple,
            _ => Self::Other,
        }
    }
}

/// A name that the gateway must have, and how that is known.
struct Wanted {
    name: String,
    because: &'static str,
}

/// By what the user typed, or else by what the client asks for.
fn wanted(inside: &Inside, dialed: Option<&str>) -> Option<Wanted> {
    if let Some(name) = dialed {
        return Some(Wanted {
            name: name.trim_end_matches('.').to_ascii_lowercase(),
            because: "the client dials",
        });
    }
    let asked = inside.messages.iter().find_map(|opened| {
        let is_request = opened.direction == Direction::FromClient && !opened.response;
        opened.facts.idr.as_ref().filter(|_| is_request)
    })?;
    let name = match asked {
        Identity::Fqdn(name) => name.to_string(),
        Identity::Address(address) => address.to_string(),
        _ => return None,
    };
    Some(Wanted {
        name: name.to_ascii_lowercase(),
        because: "the client asks for",
    })
}

struct Remarks {
    about: Direction,
    all: Vec<Remark>,
}

impl Default for Remarks {
    fn default() -> Self {
        Self {
            about: Direction::FromGateway,
            all: Vec::new(),
        }
    }
}

impl Remarks {
    fn add(&mut self, weight: Weight, says: String) {
        let about = self.about;
        self.all.push(Remark {
            weight,
            about,
            says,
        });
    }

    fn fault(&mut self, says: impl Into<String>) {
        self.add(Weight::Fault, says.into());
    }

    fn note(&mut self, says: impl Into<String>) {
        self.add(Weight::Note, says.into());
    }

    /// Whose certificate it is.
    const fn owner(&self) -> &'static str {
        match self.about {
            Direction::FromClient => "the client's certificate",
            Direction::FromGateway => "the gateway's certificate",
        }
    }

    /// Purpose, time and order of a chain, the leaf first.
    fn chain(&mut self, opened: &Opened, client: Client) {
        let chain = &opened.facts.certificates;
        if chain.iter().any(Option::is_none) {
            self.fault("a certificate is malformed");
        }
        let certificates: Vec<&Certificate> = chain.iter().flatten().collect();
        let Some(leaf) = certificates.first() else {
            return;
        };
        self.purpose(leaf, client);
        self.key(leaf.key, client);
        for certificate in &certificates {
            self.time(certificate, opened.time);
        }
        self.links(&certificates);
    }

    fn purpose(&mut self, leaf: &Certificate, client: Client) {
        let owner = self.owner();
        let (usage, name) = match self.about {
            Direction::FromGateway => (SERVER_AUTH, "serverAuth"),
            Direction::FromClient => (CLIENT_AUTH, "clientAuth"),
        };
        let is_strict = client != Client::Other;
        match (leaf.is_for(usage), self.about) {
            (Some(true), _) | (None, Direction::FromClient) => {}
            (Some(false), _) => {
                let says = format!("{owner} has extended key usages, and not {name}");
                let is_fault = is_strict || self.about == Direction::FromClient;
                self.add(weight(is_fault), says);
            }
            (None, Direction::FromGateway) => {
                let says = format!(
                    "{owner} has no extended key usage {name}, which Windows and Apple's clients want"
                );
                self.add(weight(is_strict), says);
            }
        }
    }

    fn key(&mut self, key: Key, client: Client) {
        let owner = self.owner();
        if client == Client::Windows && !matches!(key, Key::Rsa | Key::P256 | Key::P384) {
            let name = key.name();
            self.fault(format!(
                "{owner} is for {name}, and Windows takes RSA, P-256 and P-384"
            ));
        }
    }

    fn time(&mut self, certificate: &Certificate, now: Moment) {
        let (subject, validity) = (&certificate.subject, &certificate.validity);
        if now > certificate.not_after {
            self.fault(format!(
                "expired when it was shown: {subject}, valid: {validity}"
            ));
        } else if now < certificate.not_before {
            self.fault(format!(
                "not valid yet when it was shown: {subject}, valid: {validity}"
            ));
        }
    }

    /// Whether each is of the next; the last is of an authority that the peer must know.
    fn links(&mut self, chain: &[&Certificate]) {
        let owner = self.owner();
        let [leaf, rest @ ..] = chain else {
            return;
        };
        let issuer = rest.iter().find(|other| leaf.is_issued_by(other));
        match issuer {
            _ if leaf.is_self_issued() => {
                self.note(format!("{owner} is self-signed: the other side must have it as it is"));
            }
            None if rest.is_empty() => self.note(format!(
                "{owner} comes alone: if its authority ({}) is an intermediate one, the other side lacks it",
                leaf.issuer
            )),
            None => self.fault(format!(
                "{owner} is of {}, whose certificate is not among those sent",
                leaf.issuer
            )),
            Some(_) => {
                let last = rest.last().map_or(&leaf.issuer, |last| &last.issuer);
                self.note(format!("{owner} leads to {last}, which the other side must know"));
            }
        }
    }

    /// How somebody signs.
    fn method(&mut self, method: AuthMethod, client: Client) {
        let is_gateway = self.about == Direction::FromGateway;
        if method == AuthMethod::RSA_SHA1 {
            self.note(format!(
                "{} signs with SHA-1, which a policy of the system may forbid: Windows knows no other way to use RSA",
                if is_gateway { "the gateway" } else { "the client" }
            ));
        }
        if is_gateway && client == Client::Windows && method == AuthMethod::DIGITAL_SIGNATURE {
            self.fault("the gateway signs as RFC 7427 has it, which Windows does not know");
        }
        if is_gateway && client == Client::Windows && method == AuthMethod::SHARED_KEY {
            self.fault("the gateway uses a pre-shared key, which Windows does not take for IKEv2");
        }
    }

    /// Whether the gateway has the name that it is called by.
    fn names(&mut self, leaf: &Certificate, wanted: &Option<Wanted>, client: Client) {
        let Some(Wanted { name, because }) = wanted else {
            if client == Client::Windows {
                self.note("whether the name fits cannot be seen: Windows does not send it, `--name` says it");
            }
            return;
        };
        let has_dns = leaf.names.iter().any(|it| is_dns(it, name));
        let address: Option<IpAddr> = name.parse().ok();
        let has_address =
            address.is_some_and(|it| leaf.names.contains(&AlternativeName::Address(it)));
        let has_common = client == Client::Windows
            && leaf
                .common_names
                .iter()
                .any(|it| it.eq_ignore_ascii_case(name));
        let fits = match (client, address) {
            (Client::Windows, _) => has_dns || has_common,
            (Client::Apple, Some(_)) => has_dns && has_address,
            (_, Some(_)) => has_dns || has_address,
            (_, None) => has_dns,
        };
        if fits {
            return;
        }
        let owner = self.owner();
        let reason = match (client, address, has_address) {
            (Client::Windows, Some(_), true) => {
                "it has it as an iPAddress alone, and Windows looks among the dNSNames"
            }
            (Client::Apple, Some(_), _) => "Apple's clients want it as dNSName and as iPAddress",
            _ => "it is not among its alternative names",
        };
        self.fault(format!(
            "{owner} has not the name that {because}: {name}; {reason}"
        ));
    }
}

const fn weight(is_fault: bool) -> Weight {
    if is_fault {
        Weight::Fault
    } else {
        Weight::Note
    }
}

/// Whether a name is this host name, or a wildcard for it (RFC 9525 §6.3).
fn is_dns(name: &AlternativeName, wanted: &str) -> bool {
    let AlternativeName::Dns(name) = name else {
        return false;
    };
    if name.eq_ignore_ascii_case(wanted) {
        return true;
    }
    let parent = wanted.split_once('.').map(|(_, parent)| parent);
    let is_wild = |parent: &str| {
        let suffix = name.strip_prefix("*.");
        suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(parent))
    };
    parent.is_some_and(is_wild)
}

#[cfg(test)]
mod tests;
