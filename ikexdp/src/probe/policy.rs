//! What a gateway takes, one proposal at a time.
//!
//! Each request offers one proposal, and a key of a group that is not in it. A gateway that takes the
//! proposal asks for a key of its group (INVALID_KE_PAYLOAD), one that does not says NO_PROPOSAL_CHOSEN; in
//! neither case it keeps anything. One that answers neither is asked with the right key, which leaves a half-open
//! SA if it accepts. See decision 31.

use std::time::Duration;

use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::mismatch::describe;
use ikexdp_proto::wire::iana::{GroupId, NotifyType, TransformType};
use ikexdp_proto::wire::payload::sa::Transform;
use serde::Serialize;

use super::attempt::{Attempt, Manner, Outcome};
use super::client::{Client, Opening, Row, encryption, group, integrity, prf};
use super::error::ProbeError;
use super::line::Line;
use super::request::Request;

/// How long each answer may take: a request is repeated once.
const TIMEOUT: Duration = Duration::from_secs(3);

/// One proposal, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The proposal, by the names of the configuration.
    pub suite: String,
    /// Who offers it.
    pub offered_by: &'static str,
    /// What came of it.
    pub taken: Taken,
    /// The notify behind that, if there is one, or the group that is wanted.
    pub reason: Option<String>,
    /// What of it can be broken.
    pub weak: Vec<String>,
    /// Whether it has left a half-open SA.
    #[serde(skip)]
    pub is_half_open: bool,
}

/// What came of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    /// It is taken.
    Accepted,
    /// It is not.
    Refused,
    /// Another group is wanted, which it does not have.
    WantsGroup,
    /// Neither; see the reason.
    Unclear,
    /// There was no answer.
    NoAnswer,
}

/// A proposal to ask for.
#[derive(Clone, Debug)]
pub struct Candidate {
    offered_by: &'static str,
    rows: Vec<Row>,
}

const TRIPLE_DES: Row = encryption(3, 0);
const DES: Row = encryption(2, 0);
const AES128: Row = encryption(12, 128);
const AES256: Row = encryption(12, 256);
const GCM128: Row = encryption(20, 128);
const GCM256: Row = encryption(20, 256);
const CHACHA20: Row = encryption(28, 0);
/// HMAC with a hash, as integrity and as PRF.
const MD5: [Row; 2] = [integrity(1), prf(1)];
const SHA1: [Row; 2] = [integrity(2), prf(2)];
const SHA256: [Row; 2] = [integrity(12), prf(5)];
const SHA384: [Row; 2] = [integrity(13), prf(6)];
const SHA512: [Row; 2] = [integrity(14), prf(7)];

/// What is asked for: what clients in use offer, from what can be broken to what cannot, and not every product of
/// all algorithms.
#[must_use]
pub fn candidates() -> Vec<Candidate> {
    let with_mac = |offered_by, cipher: Row, hash: [Row; 2], modp: u16| {
        let [mac, function] = hash;
        Candidate {
            offered_by,
            rows: vec![cipher, mac, function, group(modp)],
        }
    };
    let aead = |offered_by, cipher: Row, function: u16, ecp: u16| Candidate {
        offered_by,
        rows: vec![cipher, prf(function), group(ecp)],
    };
    const WINDOWS: &str = "Windows as it comes";
    const DH2048: &str = "Windows with NegotiateDH2048_AES256";
    const POLICY: &str = "Windows with a policy";
    vec![
        with_mac("none in use", DES, MD5, 1),
        with_mac("Windows and iOS as they come", TRIPLE_DES, SHA1, 2),
        with_mac("Windows and iOS as they come", AES128, SHA1, 2),
        with_mac(WINDOWS, AES256, SHA1, 2),
        with_mac(WINDOWS, AES256, SHA256, 2),
        with_mac(WINDOWS, AES256, SHA384, 2),
        with_mac("iOS set up by hand", AES256, SHA256, 5),
        with_mac(DH2048, AES256, SHA1, 14),
        with_mac(
            "Windows with NegotiateDH2048_AES256, iOS",
            AES256,
            SHA256,
            14,
        ),
        with_mac(DH2048, AES256, SHA384, 14),
        with_mac(POLICY, AES256, SHA256, 24),
        with_mac(POLICY, AES128, SHA256, 14),
        with_mac(POLICY, AES128, SHA384, 19),
        with_mac(POLICY, AES256, SHA384, 20),
        aead("Windows 11 with a policy", GCM128, 5, 19),
        aead("Windows 11 with a policy", GCM256, 6, 20),
        with_mac("iOS set up by hand", AES256, SHA256, 19),
        aead("macOS with a profile", GCM256, 5, 19),
        aead("macOS with a profile", GCM256, 5, 14),
        with_mac("Android, strongSwan", AES256, SHA512, 16),
        with_mac("Android, strongSwan", AES256, SHA256, 31),
        aead("Android, strongSwan", GCM256, 7, 16),
        aead("Android, strongSwan", GCM256, 6, 15),
        aead("Android, strongSwan", GCM256, 5, 31),
        aead("Android, strongSwan", CHACHA20, 5, 31),
    ]
}

/// Asks for one after the other; whether the next may be asked by a wrong key is kept in it.
#[derive(Debug, Default)]
pub struct Policy {
    /// The gateway does not answer wrong keys.
    is_strict: bool,
}

impl Policy {
    /// Asks for one.
    ///
    /// # Errors
    /// [`ProbeError`] if requests cannot be sent.
    pub fn ask(&mut self, line: &Line, candidate: &Candidate) -> Result<Entry, ProbeError> {
        let client = candidate.client();
        let transforms = client.proposals.first().map(|it| it.transforms.as_slice());
        let mut entry = Entry {
            suite: describe(&client.proposals),
            offered_by: candidate.offered_by,
            taken: Taken::NoAnswer,
            reason: None,
            weak: weak(transforms.unwrap_or_default()),
            is_half_open: false,
        };
        let own = candidate.group();
        if !self.is_strict {
            let wrong = decoy(own);
            let attempt = attempt(line, &client, wrong.id())?;
            entry.take(&attempt, own);
            if !matches!(entry.taken, Taken::Unclear | Taken::NoAnswer) {
                return Ok(entry);
            }
        }
        let attempt = attempt(line, &client, own)?;
        entry.take(&attempt, own);
        // What is silent to both says nothing of either.
        self.is_strict |= attempt.is_answered();
        Ok(entry)
    }
}

impl Candidate {
    fn group(&self) -> GroupId {
        let is_group = |row: &&Row| row.0 == TransformType::KEY_EXCHANGE;
        let found = self.rows.iter().find(is_group);
        found.map_or(GroupId::NONE, |row| GroupId(row.1))
    }

    /// Who offers it and nothing else.
    fn client(&self) -> Client {
        let mut client = Client::plain(self.offered_by, &self.rows);
        let fragmentation = NotifyType::IKEV2_FRAGMENTATION_SUPPORTED;
        client.opening.push(Opening::Notify(fragmentation));
        client
    }
}

impl Entry {
    fn take(&mut self, attempt: &Attempt, own: GroupId) {
        self.is_half_open |= attempt.outcome == Outcome::Accepted;
        self.reason = attempt.reason.clone();
        let no_proposal = NotifyType::NO_PROPOSAL_CHOSEN.to_string();
        self.taken = match (attempt.outcome, attempt.wanted) {
            (Outcome::Accepted, _) => Taken::Accepted,
            (_, Some(wanted)) if wanted == own => Taken::Accepted,
            (_, Some(_)) => Taken::WantsGroup,
            (Outcome::Unanswered, _) => Taken::NoAnswer,
            (Outcome::Refused, _) if self.reason.as_ref() == Some(&no_proposal) => Taken::Refused,
            _ => Taken::Unclear,
        };
        if self.taken == Taken::Accepted {
            self.reason = None;
        } else if self.taken == Taken::WantsGroup {
            self.reason.clone_from(&attempt.other_group);
        }
    }
}

fn attempt(line: &Line, client: &Client, group: GroupId) -> Result<Attempt, ProbeError> {
    let manner = Manner {
        timeout: TIMEOUT,
        turns: false,
    };
    let mut request = Request::with_group(client.clone(), group)?;
    Attempt::make(line, &mut request, manner)
}

/// A group that is not `own`, and whose keys cost little.
fn decoy(own: GroupId) -> Group {
    if own == Group::Curve25519.id() {
        Group::Ecp256
    } else {
        Group::Curve25519
    }
}

/// Those of `transforms` that can be broken, or that RFC 8247 and 9395 forbid.
#[must_use]
pub fn weak(transforms: &[Transform]) -> Vec<String> {
    let names = transforms.iter().filter_map(|it| {
        Some(match (it.kind, it.id) {
            (TransformType::ENCRYPTION, 2) => "DES",
            (TransformType::ENCRYPTION, 3) => "3DES",
            (TransformType::ENCRYPTION, 11) => "NULL",
            (TransformType::INTEGRITY | TransformType::PRF, 1) => "MD5",
            (TransformType::INTEGRITY | TransformType::PRF, 2) => "SHA1",
            (TransformType::KEY_EXCHANGE, 1) => "modp768",
            (TransformType::KEY_EXCHANGE, 2) => "modp1024",
            (TransformType::KEY_EXCHANGE, 5) => "modp1536",
            (TransformType::KEY_EXCHANGE, 22) => "group 22",
            (TransformType::KEY_EXCHANGE, 23) => "group 23",
            (TransformType::KEY_EXCHANGE, 24) => "group 24",
            _ => return None,
        })
    });
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proposal_is_asked_for_twice_and_each_has_a_group() {
        let mut seen = Vec::new();
        for candidate in candidates() {
            let suite = describe(&candidate.client().proposals);
            assert!(!seen.contains(&suite), "{suite}");
            assert_ne!(decoy(candidate.group()).id(), candidate.group());
            assert_ne!(candidate.group(), GroupId::NONE);
            seen.push(suite);
        }
    }

    #[test]
    fn what_can_be_broken_is_marked() {
        let candidates = candidates();
        let weak_of = |place: usize| weak(&candidates[place].client().proposals[0].transforms);
        assert_eq!(weak_of(0), ["DES", "MD5", "modp768"]);
        assert_eq!(weak_of(1), ["3DES", "SHA1", "modp1024"]);
        assert_eq!(weak_of(candidates.len() - 1), [""; 0]);
    }

    #[test]
    fn answers_are_told_apart() {
        let own = GroupId::ECP_384;
        let refused = |reason: NotifyType, wanted| Attempt {
            outcome: Outcome::Refused,
            reason: Some(reason.to_string()),
            wanted,
            ..Attempt::default()
        };
        let accepted = Attempt {
            outcome: Outcome::Accepted,
            ..Attempt::default()
        };
        let invalid_ke = NotifyType::INVALID_KE_PAYLOAD;
        for (attempt, taken, is_half_open) in [
            (accepted, Taken::Accepted, true),
            (refused(invalid_ke, Some(own)), Taken::Accepted, false),
            (
                refused(invalid_ke, Some(GroupId::MODP_2048)),
                Taken::WantsGroup,
                false,
            ),
            (
                refused(NotifyType::NO_PROPOSAL_CHOSEN, None),
                Taken::Refused,
                false,
            ),
            (
                refused(NotifyType::INVALID_SYNTAX, None),
                Taken::Unclear,
                false,
            ),
            (Attempt::default(), Taken::NoAnswer, false),
        ] {
            let mut entry = Entry {
                suite: String::new(),
                offered_by: "",
                taken: Taken::Unclear,
                reason: None,
                weak: Vec::new(),
                is_half_open: false,
            };
            entry.take(&attempt, own);
            assert_eq!((entry.taken, entry.is_half_open), (taken, is_half_open));
        }
    }
}
