use super::*;

const SECRET: &[u8] = b"xyzzy5461";

/// RFC 2865 §7.1: User-Name, User-Password, NAS-IP-Address, NAS-Port.
const REQUEST: [u8; 56] = [
    0x01, 0x00, 0x00, 0x38, 0x0f, 0x40, 0x3f, 0x94, 0x73, 0x97, 0x80, 0x57, 0xbd, 0x83, 0xd5, 0xcb,
    0x98, 0xf4, 0x22, 0x7a, 0x01, 0x06, 0x6e, 0x65, 0x6d, 0x6f, 0x02, 0x12, 0x0d, 0xbe, 0x70, 0x8d,
    0x93, 0xd4, 0x13, 0xce, 0x31, 0x96, 0xe4, 0x3f, 0x78, 0x2a, 0x0a, 0xee, 0x04, 0x06, 0xc0, 0xa8,
    0x01, 0x10, 0x05, 0x06, 0x00, 0x00, 0x00, 0x03,
];

/// Its answer: Service-Type, Login-Service, Login-IP-Host.
const ACCEPT: [u8; 38] = [
    0x02, 0x00, 0x00, 0x26, 0x86, 0xfe, 0x22, 0x0e, 0x76, 0x24, 0xba, 0x2a, 0x10, 0x05, 0xf6, 0xbf,
    0x9b, 0x55, 0xe0, 0xb2, 0x06, 0x06, 0x00, 0x00, 0x00, 0x01, 0x0f, 0x06, 0x00, 0x00, 0x00, 0x00,
    0x0e, 0x06, 0xc0, 0xa8, 0x01, 0x03,
];

fn challenge(request: &Authenticator) -> Vec<u8> {
    let mut draft = Draft::signed(Code::ACCESS_CHALLENGE);
    draft.push(Kind::STATE, b"state").unwrap();
    draft.push_parts(Kind::EAP_MESSAGE, &[7; 600]).unwrap();
    draft.response(9, request, SECRET)
}

#[test]
fn the_examples_of_the_standard_are_read_and_verified() {
    let request = Packet::decode(&REQUEST).unwrap();
    assert_eq!(
        (request.code, request.identifier),
        (Code::ACCESS_REQUEST, 0)
    );
    assert_eq!(request.first(Kind::USER_NAME).unwrap().value, b"nemo");
    assert_eq!(request.attributes().count(), 4);
    let accept = Packet::decode(&ACCEPT).unwrap();
    assert_eq!(accept.code, Code::ACCESS_ACCEPT);
    assert!(accept.is_authentic(SECRET, &request.authenticator));
    assert!(!accept.is_authentic(b"xyzzy5462", &request.authenticator));
    assert!(!accept.is_authentic(SECRET, &NONE));
    assert_eq!(accept.is_signed(SECRET, &request.authenticator), None);
}

#[test]
fn a_draft_becomes_the_example_of_the_standard() {
    let request = Packet::decode(&REQUEST).unwrap();
    let mut draft = Draft::unsigned(Code::ACCESS_REQUEST);
    for attribute in request.attributes() {
        draft.push(attribute.kind, attribute.value).unwrap();
    }
    let octets = draft.request(0, request.authenticator, SECRET);
    assert_eq!(octets, REQUEST);
    let mut draft = Draft::unsigned(Code::ACCESS_ACCEPT);
    for attribute in Packet::decode(&ACCEPT).unwrap().attributes() {
        draft.push(attribute.kind, attribute.value).unwrap();
    }
    assert_eq!(draft.response(0, &request.authenticator, SECRET), ACCEPT);
}

#[test]
fn what_is_no_packet_is_refused() {
    for length in 0..ACCEPT.len() {
        assert!(Packet::decode(&ACCEPT[..length]).is_err(), "{length}");
    }
    let says = |length: u16| {
        let mut octets = ACCEPT.to_vec();
        octets[2..4].copy_from_slice(&length.to_be_bytes());
        octets.resize(5000, 0);
        Packet::decode(&octets).err()
    };
    assert_eq!(says(19), Some(Malformed("shorter than a header")));
    assert_eq!(says(0), Some(Malformed("shorter than a header")));
    assert_eq!(says(4097), Some(Malformed("longer than a packet may be")));
    assert_eq!(says(37), Some(Malformed("length of an attribute")));
    assert_eq!(says(20), None);
    for wrong in [0, 1, 7, 255] {
        let mut octets = ACCEPT;
        octets[33] = wrong;
        let error = Packet::decode(&octets).unwrap_err();
        assert_eq!(error, Malformed("length of an attribute"), "{wrong}");
    }
}

/// RFC 2865 §3: "Octets outside the range of the Length field MUST be treated as
/// padding and ignored on reception."
#[test]
fn padding_behind_a_packet_is_ignored() {
    let mut octets = ACCEPT.to_vec();
    octets.extend([0xff; 9]);
    let accept = Packet::decode(&octets).unwrap();
    let request = Packet::decode(&REQUEST).unwrap();
    assert!(accept.is_authentic(SECRET, &request.authenticator));
    assert_eq!(accept.attributes().count(), 3);
}

#[test]
fn a_message_authenticator_comes_first_and_covers_everything() {
    let request = [3; 16];
    let octets = challenge(&request);
    let packet = Packet::decode(&octets).unwrap();
    let first = packet.attributes().next().unwrap();
    assert_eq!(first.kind, Kind::MESSAGE_AUTHENTICATOR);
    assert!(packet.is_authentic(SECRET, &request));
    assert_eq!(packet.is_signed(SECRET, &request), Some(true));
    assert_eq!(packet.is_signed(b"other", &request), Some(false));
    assert_eq!(packet.is_signed(SECRET, &[4; 16]), Some(false));
    // The authenticator itself is not covered by the other one; every other octet is.
    for place in (0..4).chain(HEADER_LEN..octets.len()) {
        let mut changed = octets.clone();
        changed[place] ^= 1;
        if let Ok(packet) = Packet::decode(&changed) {
            assert_ne!(packet.is_signed(SECRET, &request), Some(true), "{place}");
            assert!(!packet.is_authentic(SECRET, &request), "{place}");
        }
    }
}

#[test]
fn a_message_authenticator_may_stand_anywhere_but_only_once() {
    let request = [3; 16];
    let signed = |before: &[u8], after: &[u8]| {
        let mut octets = vec![2, 9, 0, 0];
        octets.extend(request);
        octets.extend(before);
        let place = octets.len() + 2;
        octets.extend([80, 18]);
        octets.extend(NONE);
        octets.extend(after);
        let length = octets.len() as u16;
        octets[2..4].copy_from_slice(&length.to_be_bytes());
        let signature = hmac(SECRET, &[&octets]);
        octets[place..place + 16].copy_from_slice(&signature);
        Packet::decode(&octets).unwrap().is_signed(SECRET, &request)
    };
    assert_eq!(signed(&[], &[]), Some(true));
    assert_eq!(signed(&[24, 3, 1], &[25, 3, 2]), Some(true));
    let second: Vec<u8> = [80, 18].into_iter().chain([0; 16]).collect();
    assert_eq!(signed(&[], &second), Some(false));
    assert_eq!(signed(&[80, 4, 1, 2], &[]), Some(false));
}

#[test]
fn a_long_eap_packet_is_cut_and_joined_again() {
    let octets = challenge(&[3; 16]);
    let packet = Packet::decode(&octets).unwrap();
    let parts: Vec<_> = packet
        .all(Kind::EAP_MESSAGE)
        .map(|it| it.value.len())
        .collect();
    assert_eq!(parts, [253, 253, 94]);
    assert_eq!(packet.eap(), [7; 600]);
}

#[test]
fn a_draft_holds_no_more_than_a_packet() {
    let mut draft = Draft::signed(Code::ACCESS_REQUEST);
    assert_eq!(draft.push(Kind::USER_NAME, &[0; 254]), Err(TooLong));
    assert_eq!(draft.push(Kind::USER_NAME, &[]), Err(TooLong));
    let room = PACKET_LEN_MAX - HEADER_LEN - 18;
    let parts = room.div_ceil(255);
    let eap = vec![0; room - 2 * parts];
    draft.clone().push_parts(Kind::EAP_MESSAGE, &eap).unwrap();
    let eap = vec![0; eap.len() + 1];
    assert_eq!(draft.push_parts(Kind::EAP_MESSAGE, &eap), Err(TooLong));
}

#[test]
fn a_computed_request_verifies_against_nothing() {
    let mut draft = Draft::signed(Code::DISCONNECT_REQUEST);
    draft.push(Kind::USER_NAME, b"kim").unwrap();
    let octets = draft.computed(4, SECRET);
    let packet = Packet::decode(&octets).unwrap();
    assert!(packet.is_authentic(SECRET, &NONE));
    assert_eq!(packet.is_signed(SECRET, &NONE), Some(true));
    assert!(!packet.is_authentic(b"other", &NONE));
}
