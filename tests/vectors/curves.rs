//! NIST curves: what openssl makes of the same, and what no peer and no file may have taken.

use std::path::Path;

use ikexdp_proto::crypto::CryptoError;
use ikexdp_proto::crypto::kex::Group;
use rustls_pki_types::PrivateSec1KeyDer;

use super::*;

/// A curve, as far as the tests have to know it.
struct Curve {
    group: Group,
    openssl: &'static str,
    /// Its name in DER.
    oid: &'static [u8],
    /// The order of its base point.
    order: &'static str,
    /// Signatures as two numbers of the order's length.
    fixed: SignatureScheme,
}

const CURVES: [Curve; 3] = [
    Curve {
        group: Group::Ecp256,
        openssl: "P-256",
        oid: &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
        order: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        fixed: SignatureScheme::EcdsaP256,
    },
    Curve {
        group: Group::Ecp384,
        openssl: "P-384",
        oid: &[6, 5, 0x2b, 0x81, 4, 0, 0x22],
        order: "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
                581a0db248b0a77aecec196accc52973",
        fixed: SignatureScheme::EcdsaP384,
    },
    Curve {
        group: Group::Ecp521,
        openssl: "P-521",
        oid: &[6, 5, 0x2b, 0x81, 4, 0, 0x23],
        order: "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
                fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
        fixed: SignatureScheme::EcdsaP521,
    },
];

impl Curve {
    /// The order in as many octets as a number of a signature has.
    fn order(&self) -> Vec<u8> {
        let digits = self.order.as_bytes().chunks(2);
        let octet = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.map(octet).collect()
    }

    /// A client with a key on it, and the key in PEM.
    fn claim(&self) -> (Claim, String) {
        let key = match self.group {
            Group::Ecp256 => Key::EcdsaP256,
            Group::Ecp384 => Key::EcdsaP384,
            _ => return p521(),
        };
        let pki = Pki::new(key);
        let claim = Claim {
            anchors: TrustAnchors::new(&[certificate(&pki.root)]).unwrap(),
            chain: vec![
                certificate(&pki.client.leaf),
                certificate(&pki.client.intermediate),
            ],
            key: signing_key(&pki.client.key),
            ..Claim::new(key)
        };
        (claim, pki.client.key)
    }
}

/// RFC 5903 §7, §9: a public value is both coordinates, and the secret the x coordinate, each with its
/// leading zeros.
#[test]
fn secrets_are_those_of_openssl() {
    for curve in &CURVES {
        let directory = TempDir::new().unwrap();
        let run = |arguments: &[&str]| openssl(directory.path(), arguments);
        run(&generate(curve.openssl));
        let mut public = run(&["pkey", "-in", "key.pem", "-pubout", "-outform", "DER"]);
        let theirs = public.split_off(public.len() - curve.group.public_len());
        // One in 128 secrets begins with zeros on P-256 and P-384, every other one on P-521.
        for _ in 0..8 {
            let ours = curve.group.generate(&SystemRandom::new()).unwrap();
            let spki = [&public, ours.public()].concat();
            fs::write(directory.path().join("ours.der"), spki).unwrap();
            let derive = ["pkeyutl", "-derive", "-inkey", "key.pem"];
            let peer = ["-peerkey", "ours.der", "-peerform", "DER"];
            let expected = run(&[&derive[..], &peer].concat());
            let agreed = ours.agree(&theirs).unwrap();
            assert_eq!(agreed.expose(), &expected, "{}", curve.group);
        }
    }
}

/// What openssl writes, by its options: PKCS #8 and SEC 1, with the public key and without.
#[test]
fn every_form_of_a_key_is_read() {
    for curve in &CURVES {
        let directory = TempDir::new().unwrap();
        let run = |arguments: &[&str]| openssl(directory.path(), arguments);
        run(&generate(curve.openssl));
        let public = run(&["pkey", "-in", "key.pem", "-pubout", "-outform", "DER"]);
        let point = &public[public.len() - curve.group.public_len() - 1..];
        let pkcs8 = run(&["pkcs8", "-topk8", "-nocrypt", "-in", "key.pem"]);
        let sec1 = run(&["ec", "-in", "key.pem"]);
        let alone = run(&["ec", "-in", "key.pem", "-no_public"]);
        let compressed = run(&["ec", "-in", "key.pem", "-conv_form", "compressed"]);
        for pem in [pkcs8, sec1, alone, compressed] {
            let pem = String::from_utf8(pem).unwrap();
            let key = signing_key(&pem);
            assert_eq!(key.to_string(), format!("ECDSA {}", curve.openssl), "{pem}");
            assert_eq!(key.public_key(), point, "{pem}");
        }
        // The public key of another.
        let der = run(&["pkey", "-in", "key.pem", "-outform", "DER"]);
        for place in [der.len() - 1, der.len() - curve.group.public_len()] {
            let mut der = der.clone();
            der[place] ^= 1;
            let key = SigningKey::from_der(&PrivateKeyDer::Pkcs8(der.into()));
            assert_eq!(key.err(), Some(CryptoError::PrivateKey));
        }
    }
}

#[test]
fn a_key_is_a_number_below_the_order() {
    for curve in &CURVES {
        let order = curve.order();
        let length = order.len();
        let one = number(&[1], length);
        let read = |scalar: &[u8]| {
            let parts = [&[2, 1, 1], &tlv(4, scalar)[..], &tlv(0xa0, curve.oid)].concat();
            let key = PrivateSec1KeyDer::from(tlv(0x30, &parts));
            SigningKey::from_der(&PrivateKeyDer::Sec1(key)).map(|key| key.to_string())
        };
        let name = format!("ECDSA {}", curve.openssl);
        for scalar in [&one, &minus(&order, &one)] {
            assert_eq!(read(scalar).as_ref(), Ok(&name));
        }
        for scalar in [number(&[], length), order, vec![0xff; length], vec![0; 0]] {
            let read = read(&scalar);
            assert_eq!(read, Err(CryptoError::PrivateKey), "{name} {scalar:02x?}");
        }
    }
}

/// RFC 4754 §7, as the peer wishes: two numbers below the order, of its length, and no zeros.
#[test]
fn a_signature_of_fixed_length_is_two_numbers_below_the_order() {
    for curve in &CURVES {
        let (claim, _) = curve.claim();
        let random = SystemRandom::new();
        let signature = claim.key.sign(curve.fixed, b"octets", &random).unwrap();
        let order = curve.order();
        let (r, s) = signature.split_at(order.len());
        let verify = |signature: &[u8]| claim.verify_signature(curve.fixed, signature);
        assert_eq!(verify(&signature), Ok(()));
        // Nobody is asked for the smaller of the two that there are.
        assert_eq!(verify(&[r, &minus(&order, s)].concat()), Ok(()));
        let mut refused: Vec<Vec<u8>> = wrong_numbers(r, s, &order)
            .into_iter()
            .filter(|(r, s)| r.len() == order.len() && s.len() == order.len())
            .map(|(r, s)| [r, s].concat())
            .collect();
        assert!(refused.len() >= 7);
        refused.push(Vec::new());
        refused.push(r.to_vec());
        refused.push(signature[1..].to_vec());
        refused.push([&signature[..], &[0]].concat());
        refused.push([&[0], &signature[..]].concat());
        refused.push([&[0], r, &[0], s].concat());
        refused.push(vec![0; 1 << 16]);
        refused.push(sequence(&integer(r), &integer(s)));
        for signature in refused {
            let bad = Err(CredentialError::BadSignature);
            assert_eq!(verify(&signature), bad, "{} {signature:02x?}", curve.group);
        }
    }
}

/// RFC 7427: what openssl signs is taken with each hash, and nothing that is not DER.
#[test]
fn a_signature_in_der_is_two_numbers_below_the_order() {
    let hashes = [
        (Hash::Sha256, "-sha256"),
        (Hash::Sha384, "-sha384"),
        (Hash::Sha512, "-sha512"),
    ];
    for curve in &CURVES {
        let (claim, key) = curve.claim();
        let order = curve.order();
        // Certificates on P-521 are signed with SHA-512, and so is all that is verified by it.
        let least = if curve.group == Group::Ecp521 { 2 } else { 0 };
        for (hash, name) in &hashes[least..] {
            let scheme = SignatureScheme::Ecdsa(*hash);
            let signature = openssl_sign(&key, name);
            let verify = |signature: &[u8]| claim.verify_signature(scheme, signature);
            assert_eq!(verify(&signature), Ok(()), "{} {name}", curve.group);
            let (r, s) = numbers(&signature, order.len());
            assert_eq!(sequence(&integer(&r), &integer(&s)), signature);
            let other = sequence(&integer(&r), &integer(&minus(&order, &s)));
            assert_eq!(verify(&other), Ok(()));
            let wrong = wrong_numbers(&r, &s, &order).into_iter();
            let wrong = wrong.map(|(r, s)| sequence(&integer(&r), &integer(&s)));
            for signature in wrong.chain(wrong_der(&signature, &r, &s)) {
                let bad = Err(CredentialError::BadSignature);
                let group = curve.group;
                assert_eq!(verify(&signature), bad, "{group} {name} {signature:02x?}");
            }
        }
    }
}

/// Numbers that must not be taken; some are as good as the right ones modulo the order.
fn wrong_numbers(r: &[u8], s: &[u8], order: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let length = order.len();
    let ones = vec![0xff; length];
    let zero = number(&[], length);
    let both = [zero, order.to_vec(), ones];
    let more = [plus(r, order), plus(s, order)];
    let mut wrong = vec![
        (both[0].clone(), both[0].clone()),
        (s.to_vec(), r.to_vec()),
        (more[0].clone(), s.to_vec()),
        (r.to_vec(), more[1].clone()),
    ];
    for number in both {
        wrong.push((number.clone(), s.to_vec()));
        wrong.push((r.to_vec(), number));
    }
    wrong
}

/// The right numbers in what is not DER, or not theirs.
fn wrong_der(signature: &[u8], r: &[u8], s: &[u8]) -> Vec<Vec<u8>> {
    let (r_der, s_der) = (integer(r), integer(s));
    let content = [&r_der[..], &s_der].concat();
    let padded = |number: &[u8]| tlv(2, &[&[0; 2], number].concat());
    let long = |octets: &[u8]| {
        let length = u16::try_from(octets.len()).unwrap().to_be_bytes();
        [&[0x30, 0x82], &length[..], octets].concat()
    };
    let truncated = (0..signature.len()).map(|end| signature[..end].to_vec());
    let mut wrong: Vec<Vec<u8>> = truncated.collect();
    wrong.extend([
        [signature, &[0]].concat(),
        [signature, signature].concat(),
        tlv(0x30, &[&content[..], &[5, 0]].concat()),
        tlv(0x31, &content),
        tlv(0x30, &r_der),
        tlv(0x30, &[&content[..], &s_der].concat()),
        // Leading zeros, few and many.
        sequence(&padded(r), &s_der),
        sequence(&r_der, &padded(s)),
        sequence(&tlv(2, &[vec![0; 60_000], r.to_vec()].concat()), &s_der),
        // Negative numbers.
        sequence(&[2, 1, 0xff], &s_der),
        sequence(&r_der, &[2, 1, 0x80]),
        sequence(&[2, 0], &s_der),
        // Lengths that are longer than they need to be, not there, and not true.
        long(&content),
        [&[0x30, 0x80], &content[..], &[0, 0]].concat(),
        vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 2, 1, 1, 2, 1, 1],
        vec![0x30, 6, 2, 0x7f, 1, 2, 1, 1],
        // Without DER at all.
        [r, s].concat(),
    ]);
    wrong
}

/// `openssl genpkey` into `key.pem`.
fn generate(curve: &str) -> [&str; 7] {
    let option = match curve {
        "P-256" => "ec_paramgen_curve:P-256",
        "P-384" => "ec_paramgen_curve:P-384",
        _ => "ec_paramgen_curve:P-521",
    };
    [
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        option,
        "-out",
        "key.pem",
    ]
}

/// Standard output of openssl.
fn openssl(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("openssl runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    output.stdout
}

/// Both numbers of a signature in DER.
fn numbers(signature: &[u8], length: usize) -> (Vec<u8>, Vec<u8>) {
    // A length of 128 octets and more has an octet before it.
    let content = if signature[1] & 0x80 == 0 { 2 } else { 3 };
    let (r, rest) = signature[content + 2..].split_at(usize::from(signature[content + 1]));
    (number(r, length), number(&rest[2..], length))
}

/// A number, big-endian, in so many octets.
fn number(octets: &[u8], length: usize) -> Vec<u8> {
    let octets = without_zeros(octets);
    [vec![0; length - octets.len()], octets.to_vec()].concat()
}

fn without_zeros(octets: &[u8]) -> &[u8] {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    &octets[zeros..]
}

/// The sum of two numbers, in an octet more if it needs one.
fn plus(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let mut sum = Vec::new();
    for (one, other) in one.iter().zip(other).rev() {
        let digit = u16::from(*one) + u16::from(*other) + carry;
        sum.insert(0, digit.to_be_bytes()[1]);
        carry = digit >> 8;
    }
    if carry > 0 {
        sum.insert(0, 1);
    }
    sum
}

/// The difference of two numbers, of which the first is the larger.
fn minus(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference = vec![0; one.len()];
    for place in (0..one.len()).rev() {
        let digit = 256 + u16::from(one[place]) - u16::from(other[place]) - borrow;
        difference[place] = digit.to_be_bytes()[1];
        borrow = 1 - (digit >> 8);
    }
    difference
}

fn sequence(one: &[u8], other: &[u8]) -> Vec<u8> {
    tlv(0x30, &[one, other].concat())
}

/// INTEGER.
fn integer(number: &[u8]) -> Vec<u8> {
    let octets = without_zeros(number);
    let is_high = octets.first().is_none_or(|first| first & 0x80 != 0);
    let sign: &[u8] = if is_high { &[0] } else { &[] };
    tlv(2, &[sign, octets].concat())
}

/// DER: a tag, a length, and what is so long.
fn tlv(tag: u8, octets: &[u8]) -> Vec<u8> {
    let length = octets.len().to_be_bytes();
    let length = without_zeros(&length);
    let mut encoded = vec![tag];
    if octets.len() >= 128 {
        encoded.push(0x80 | u8::try_from(length.len()).unwrap());
    } else if length.is_empty() {
        encoded.push(0);
    }
    [&encoded, length, octets].concat()
}
