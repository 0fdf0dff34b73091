//! What a gateway does for a client, from IKE_SA_INIT to the CHILD SA; SAs for the kernel go nowhere.

use std::rc::Rc;

use crate::Case;
use crate::parties::{Parties, Proof};
use crate::pki::Key;
use crate::record::{Recording, Stage, certified};

/// Parts of what the engine does.
pub(super) fn parts() -> Vec<Case> {
    let psk = Rc::new(Recording::of(&Parties::new(Proof::SharedKey)));
    let rsa = Rc::new(Recording::of(&certified(Key::Rsa4096)));
    let count = rsa.auth_datagrams();
    assert!(count > 1, "an IKE_AUTH request with RSA-4096 has fragments");
    let fragments = format!("auth-request-rsa-4096-in-{count}");
    vec![
        part("init-request", &psk, Stage::InitRequest),
        part("init-response", &psk, Stage::InitResponse),
        part("auth-request-psk", &psk, Stage::AuthRequest),
        part("auth-response-psk", &psk, Stage::AuthResponse),
        part(&fragments, &rsa, Stage::AuthRequest),
        part("auth-response-rsa-4096", &rsa, Stage::AuthResponse),
    ]
}

/// Whole handshakes.
pub(super) fn wholes() -> Vec<Case> {
    let parties = [
        ("psk", Parties::new(Proof::SharedKey)),
        ("ecdsa-p256", certified(Key::EcdsaP256)),
        ("rsa-2048", certified(Key::Rsa2048)),
        ("rsa-4096", certified(Key::Rsa4096)),
    ];
    let cases = parties.map(|(name, parties)| whole(name, &Rc::new(Recording::of(&parties))));
    cases.into_iter().flatten().collect()
}

fn part(name: &str, recording: &Rc<Recording>, measured: Stage) -> Case {
    let recording = Rc::clone(recording);
    Case::prepared(format!("gateway/{name}"), move |meter| {
        recording.repeat(Some(measured), &mut |stage, work| match stage {
            // What it would come to is known.
            Stage::Job => {}
            _ if stage == measured => meter(work),
            _ => work(),
        });
    })
}

/// All of it: with public-key work, and the engine's alone.
fn whole(name: &str, recording: &Rc<Recording>) -> [Case; 2] {
    let (all, engine) = (Rc::clone(recording), Rc::clone(recording));
    [
        Case::prepared(format!("handshake/{name}"), move |meter| {
            all.repeat(None, &mut |_, work| meter(work));
        }),
        Case::prepared(format!("engine/{name}"), move |meter| {
            engine.repeat(None, &mut |stage, work| {
                if stage != Stage::Job {
                    meter(work);
                }
            });
        }),
    ]
}
