//! Algorithms by the names that the engine prints.

use std::fmt::Display;

use ikexdp_proto::config::{EspAlgorithms, IkeAlgorithms};
use ikexdp_proto::crypto::cipher::{Encryption, Integrity};
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::crypto::prf::Prf;

use super::context::Context;
use super::fault::Fault;
use super::file::{Esp, Ike, Text, Texts};
use super::problem::Key;

/// The algorithms of IKE SAs.
pub(super) fn ike(cx: &mut Context<'_>, ike: &Ike) -> Option<IkeAlgorithms> {
    let key = Key::of("ike");
    let (encryption, integrity) = ciphers(
        cx,
        [key.at("encryption"), key.at("integrity")],
        ike.encryption.as_ref(),
        ike.integrity.as_ref(),
    );
    let prf = list(cx, &key.at("prf"), ike.prf.as_ref(), &Prf::ALL);
    let groups = list(cx, &key.at("groups"), ike.groups.as_ref(), &Group::ALL);
    Some(IkeAlgorithms {
        encryption: encryption?,
        integrity: integrity?,
        prf: prf?,
        groups: groups?,
    })
}

/// The algorithms of CHILD SAs of the connection `key`.
pub(super) fn esp(cx: &mut Context<'_>, key: &Key<'_>, esp: &Esp) -> Option<EspAlgorithms> {
    let (encryption, integrity) = ciphers(
        cx,
        [key.at("esp.encryption"), key.at("esp.integrity")],
        esp.encryption.as_ref(),
        esp.integrity.as_ref(),
    );
    // What the file does not name is left to the client.
    let groups = match &esp.groups {
        Some(_) => list(cx, &key.at("esp.groups"), esp.groups.as_ref(), &Group::ALL),
        None => Some(Vec::new()),
    };
    Some(EspAlgorithms {
        encryption: encryption?,
        integrity: integrity?,
        groups: groups?,
    })
}

fn ciphers(
    cx: &mut Context<'_>,
    [encryption_key, integrity_key]: [Key<'_>; 2],
    encryption: Option<&Texts>,
    integrity: Option<&Texts>,
) -> (Option<Vec<Encryption>>, Option<Vec<Integrity>>) {
    let encryption = list(cx, &encryption_key, encryption, &Encryption::ALL);
    let integrity = match integrity {
        // No integrity at all is right for AEAD ciphers, and for them only.
        Some(texts) if texts.get_ref().is_empty() => {
            let mut ciphers = encryption.iter().flatten();
            match ciphers.find(|cipher| !cipher.is_aead()) {
                Some(cipher) => {
                    let cipher = cipher.to_string();
                    let fault = Fault::NoIntegrity { cipher };
                    cx.problems.fault(&integrity_key, texts.span(), fault)
                }
                None => Some(Vec::new()),
            }
        }
        texts => list(cx, &integrity_key, texts, &Integrity::ALL),
    };
    (encryption, integrity)
}

/// Finds each of `texts` in `all`, which is also the default.
fn list<T: Copy + Display>(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    texts: Option<&Texts>,
    all: &[T],
) -> Option<Vec<T>> {
    let Some(texts) = texts else {
        return Some(all.to_vec());
    };
    if texts.get_ref().is_empty() {
        let allowed = names(all);
        return cx
            .problems
            .fault(key, texts.span(), Fault::EmptyList { allowed });
    }
    // Every wrong name is reported, not only the first.
    let found: Vec<_> = texts
        .get_ref()
        .iter()
        .map(|text| choice(cx, key, text, all))
        .collect();
    found.into_iter().collect()
}

/// The one of `all` that prints as `text`.
pub(super) fn choice<T: Copy + Display>(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    text: &Text,
    all: &[T],
) -> Option<T> {
    let value = text.get_ref();
    let found = all.iter().find(|choice| choice.to_string() == *value);
    found.copied().or_else(|| {
        let value = value.clone();
        let allowed = names(all);
        cx.problems
            .fault(key, text.span(), Fault::Choice { value, allowed })
    })
}

fn names<T: Display>(all: &[T]) -> String {
    let names: Vec<_> = all.iter().map(|choice| format!("\"{choice}\"")).collect();
    names.join(", ")
}
