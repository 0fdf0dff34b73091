//! What a configuration may say of revoked certificates.

use ikexdp_proto::crypto::cert::{Revocation, RevocationPolicy};
use rcgen::{CertificateRevocationListParams, KeyIdMethod};

use super::*;

/// The lab, and lists: of the root in PEM, in DER, one that is out of date, one of
/// somebody of that name, and one of somebody else.
fn lab() -> Lab {
    let lab = Lab::new();
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let (root, namesake, other) = (authority("Root"), authority("Root"), authority("Other"));
    lab.write("ca.pem", &root.pem());
    let list = |year, issuer: &CertifiedIssuer<'static, KeyPair>| {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(year, 1, 1),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(issuer).unwrap()
    };
    let good = list(2040, &root);
    lab.write("good.crl", &good.pem().unwrap());
    fs::write(lab.path("good.der"), good.der()).unwrap();
    lab.write("old.crl", &list(2025, &root).pem().unwrap());
    lab.write("namesake.crl", &list(2040, &namesake).pem().unwrap());
    lab.write("other.crl", &list(2040, &other).pem().unwrap());
    let both = good.pem().unwrap() + &list(2040, &other).pem().unwrap();
    lab.write("both.crl", &both);
    lab
}

const CA: &str = "ca = \"ca.pem\"";

fn revocation(loaded: &Loaded) -> Revocation {
    match &loaded.settings.engine.connections[0].requirement {
        Requirement::Certificate(anchors) => anchors.revocation().clone(),
        Requirement::SharedKey(_) | Requirement::Eap(_) => panic!("not a certificate"),
    }
}

#[test]
fn what_is_revoked_is_looked_at_where_it_can_be_known() {
    use RevocationPolicy::{Off, Relaxed, Strict};
    let lab = lab();
    for (keys, policy, lists, fetch) in [
        ("", Off, 0, false),
        (", fetch-revocation = false", Off, 0, false),
        (", crl = []", Off, 0, false),
        (", revocation = \"relaxed\"", Relaxed, 0, false),
        (", crl = [\"good.crl\"]", Relaxed, 1, false),
        (", crl = [\"good.der\"]", Relaxed, 1, false),
        (", crl = [\"both.crl\", \"good.der\"]", Relaxed, 3, false),
        (", fetch-revocation = true", Relaxed, 0, true),
        (
            ", crl = [\"good.crl\"], revocation = \"strict\"",
            Strict,
            1,
            false,
        ),
        (
            ", fetch-revocation = true, revocation = \"strict\"",
            Strict,
            0,
            true,
        ),
    ] {
        let loaded = lab.load(&GOOD.replacen(CA, &format!("{CA}{keys}"), 1));
        let loaded = loaded.unwrap();
        let revocation = revocation(&loaded);
        let found = (revocation.policy, revocation.lists.len(), revocation.fetch);
        assert_eq!(found, (policy, lists, fetch), "{keys}");
        assert!(loaded.cautions.is_empty(), "{keys}: {:?}", loaded.cautions);
        assert_eq!(loaded.to_string().contains("  revocation "), policy != Off);
    }
    let text = GOOD.replacen(
        CA,
        &format!("{CA}, crl = [\"both.crl\"], fetch-revocation = true"),
        1,
    );
    let line = "  revocation relaxed, lists of CN=Root (until 2040-01-01T00:00:00Z), \
                CN=Other (until 2040-01-01T00:00:00Z), fetched\n";
    let shown = lab.load(&text).unwrap().to_string();
    assert!(shown.contains(line), "{shown}");
}

#[test]
fn a_list_that_cannot_be_used_is_a_fault() {
    let lab = lab();
    for (keys, key, says) in [
        ("crl = [\"none.crl\"]", "crl", "file cannot be read"),
        (
            "crl = [\"endless\"]",
            "crl",
            "not a certificate revocation list",
        ),
        (
            "crl = [\"ca.pem\"]",
            "crl",
            "not a certificate revocation list",
        ),
        (
            "crl = [\"namesake.crl\"]",
            "crl",
            "not signed by the authority of that name",
        ),
        (
            "revocation = \"hard\"",
            "revocation",
            "\"off\", \"relaxed\", \"strict\"",
        ),
        (
            "revocation = \"strict\"",
            "revocation",
            "fetch-revocation = true",
        ),
        (
            "crl = [], revocation = \"strict\"",
            "revocation",
            "none would be taken",
        ),
    ] {
        let complaint = lab.complaint(CA, &format!("{CA}, {keys}"));
        assert!(complaint.contains(says), "{keys}: {complaint}");
        let key = format!("connection.staff.remote.{key}: ");
        assert!(complaint.contains(&key), "{keys}: {complaint}");
    }
}

#[test]
fn a_pre_shared_key_is_not_revoked() {
    let lab = lab();
    for keys in [
        "crl = [\"good.crl\"]",
        "revocation = \"off\"",
        "fetch-revocation = false",
    ] {
        let complaint = lab.complaint(CA, &format!("secret-file = \"psk\", {keys}"));
        assert!(
            complaint.contains("means nothing without `remote.ca`"),
            "{complaint}"
        );
    }
}

#[test]
fn what_an_operator_may_not_mean_is_said() {
    let lab = lab();
    for (keys, says) in [
        (
            "crl = [\"old.crl\"]",
            "revocation list is out of date: CN=Root",
        ),
        (
            "crl = [\"good.crl\"], revocation = \"off\"",
            "has no effect with revocation",
        ),
        (
            "fetch-revocation = true, revocation = \"off\"",
            "has no effect with revocation",
        ),
    ] {
        let loaded = lab
            .load(&GOOD.replacen(CA, &format!("{CA}, {keys}"), 1))
            .unwrap();
        let [caution] = &loaded.cautions[..] else {
            panic!("{keys}: {:?}", loaded.cautions);
        };
        let caution = caution.to_string();
        assert!(caution.contains(says), "{keys}: {caution}");
    }
}
