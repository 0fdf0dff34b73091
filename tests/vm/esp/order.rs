//! What is whose, and that nothing is left over.

use ikexdp::xfrm::{Swept, rehearse};
use ikexdp_proto::crypto::cipher::{Cipher, Encryption};
use ikexdp_proto::data_plane::{DataPlaneError, Lineage, Operation};

use super::end::{Agreed, ends, install, pings, remove};

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_client_that_comes_again_gets_the_traffic_until_it_goes() {
    let ends = ends();
    let before = Agreed::new();
    let after = Agreed {
        lineage: Lineage(2),
        ..before
    };
    install(&ends, &before);
    let first = ends[0].policies();
    install(&ends, &after);
    assert_eq!(pings(&ends, 1), 0);
    let carried = |agreed: &Agreed| ends[0].carried(agreed.names(0).to_vec())[1].packets;
    assert_eq!((carried(&before), carried(&after)), (0, 2));
    for (place, end) in ends.iter().enumerate() {
        end.apply(after.remove(place)).unwrap();
    }
    assert_eq!(ends[0].policies(), first);
    assert_eq!(pings(&ends, 1), 0);
    assert_eq!(carried(&before), 2);
    remove(&ends, &before);
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_batch_that_fails_leaves_nothing() {
    let [end, _] = ends();
    let agreed = Agreed::new();
    let twice = agreed.install(0).into_iter().chain(agreed.install(0));
    let error = end.apply(twice.collect()).unwrap_err();
    assert!(matches!(error, DataPlaneError::Taken(_)), "{error}");
    assert!(end.is_clean());
    // Nor is it forgotten that nobody has the policies.
    end.apply(agreed.install(0)).unwrap();
    end.apply(agreed.remove(0)).unwrap();
    assert!(end.is_clean());
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn what_is_gone_is_removed_without_complaint() {
    let [end, _] = ends();
    let agreed = Agreed::new();
    end.apply(agreed.remove(0)).unwrap();
    let relocation = Operation::Move {
        sas: agreed.names(0).to_vec(),
        policies: vec![agreed.policies(0)],
        to: super::end::tunnel(1, false),
    };
    end.apply(vec![relocation]).unwrap();
    assert!(end.is_clean());
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_sweep_takes_what_is_ours_and_nothing_else() {
    let [end, _] = ends();
    let foreign = [
        "ip xfrm state add src 192.0.2.1 dst 192.0.2.9 proto esp spi 0x77 reqid 1 mode tunnel \
         aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128",
        "ip xfrm policy add src 10.7.0.0/16 dst 10.8.0.0/16 dir out \
         tmpl src 192.0.2.1 dst 192.0.2.9 proto esp reqid 1 mode tunnel",
    ];
    for line in foreign {
        end.namespace.exec(line);
    }
    let theirs = || (end.namespace.exec("ip xfrm state list"), end.policies());
    let before = theirs();
    let sas: Vec<_> = (1..40)
        .flat_map(|lineage| {
            let agreed = Agreed {
                lineage: Lineage(lineage),
                ..Agreed::new()
            };
            agreed.install(0)
        })
        .collect();
    end.apply(sas).unwrap();
    let swept = Swept {
        sas: 78,
        policies: 6,
    };
    assert_eq!(end.sweep(), swept);
    assert_eq!(theirs(), before);
    assert_eq!(end.sweep(), Swept::default());
    // Somebody else's policy is not ours to replace.
    let agreed = Agreed::new();
    end.namespace.exec(
        "ip xfrm policy add src 10.1.0.1/32 dst 10.2.0.1/32 dir out \
         tmpl src 192.0.2.1 dst 192.0.2.9 proto esp reqid 1 mode tunnel",
    );
    let before = theirs();
    let error = end.apply(agreed.install(0)).unwrap_err();
    assert!(matches!(error, DataPlaneError::Taken(_)), "{error}");
    assert_eq!(theirs(), before);
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_rehearsal_leaves_nothing() {
    let [end, _] = ends();
    let ciphers = Encryption::ALL.map(|encryption| Cipher::new(encryption, None));
    let ciphers: Vec<_> = ciphers.into_iter().flatten().collect();
    let missing = end.namespace.run(move || rehearse(&ciphers)).unwrap();
    assert_eq!(missing, []);
    assert!(end.is_clean());
}
