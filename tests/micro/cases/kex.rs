//! Key exchanges.

use std::hint::black_box;

use ikexdp_proto::crypto::kex::Group;
use ring::rand::SystemRandom;

use crate::Case;

pub(super) fn cases() -> Vec<Case> {
    Group::ALL.into_iter().flat_map(of).collect()
}

/// Both halves: our own key pair, and the secret of it and the peer's.
fn of(group: Group) -> [Case; 2] {
    let random = SystemRandom::new();
    let peer = group.generate(&random).unwrap().public().to_vec();
    let generate = move || group.generate(&SystemRandom::new()).unwrap();
    [
        Case::plain(format!("generate/{group}"), generate),
        Case::prepared(format!("agree/{group}"), move |meter| {
            let mut ours = Some(generate());
            meter(&mut || {
                let ours = ours.take().expect("a meter runs it once");
                black_box(ours.agree(&peer).unwrap());
            });
        }),
    ]
}
