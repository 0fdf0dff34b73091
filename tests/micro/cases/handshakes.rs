//! What a gateway does for a client, from IKE_SA_INIT to the CHILD SA; SAs for the kernel go nowhere.

use std::rc::Rc;

use crate::Case;
use crate::parties::{Parties, Proof};
use crate::pki::Key;
use crate::record::{Recording, Stage, certified};

pub(super) fn cases() -> Vec<Case> {
    let psk = Recording::of(&Parties::new(Proof::SharedKey));
    let rsa = Recording::of(&certified(Key::Rsa4096));
    let count = rsa.auth_datagrams();
    assert!(count > 1, "an IKE_AUTH request with RSA-4096 has fragments");
    let (psk, rsa) = (Rc::new(psk), Rc::new(rsa));
    let mut cases = vec![
        stage("init-request", &psk, Stage::InitRequest),
        stage("init-response", &psk, Stage::InitResponse),
        stage("auth-request-psk", &psk, Stage::AuthRequest),
        stage("auth-response-psk", &psk, Stage::AuthResponse),
        stage(
            &format!("auth-request-rsa-4096-in-{count}"),
            &rsa,
            Stage::AuthRequest,
        ),
        stage("auth-response-rsa-4096", &rsa, Stage::AuthResponse),
    ];
    let [p256, rsa2048] =
        [Key::EcdsaP256, Key::Rsa2048].map(|key| Rc::new(Recording::of(&certified(key))));
    for (name, recording) in [
        ("psk", psk),
        ("ecdsa-p256", p256),
        ("rsa-2048", rsa2048),
        ("rsa-4096", rsa),
    ] {
        cases.extend(whole(name, &recording));
    }
    cases
}

/// A part of the engine's own work.
fn stage(name: &str, recording: &Rc<Recording>, measured: Stage) -> Case {
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
