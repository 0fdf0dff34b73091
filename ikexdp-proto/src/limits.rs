//! Every bound on what a peer can make us hold or do.

use core::time::Duration;

use ikexdp_common::limit::{Limits, Rate};

/// Longest IKE message taken, whole or reassembled, in octets. Certificate
/// chains need 2 to 7 kB, EAP-TLS and large CERTREQs more; 64 KiB is what
/// RFC 7296 §2 has implementations support at the outside.
pub const MESSAGE_LEN_MAX: usize = 65_536;

/// Longest IKE_SA_INIT message taken, in octets. It cannot be fragmented, so an
/// honest one fits the path: clients send 300 to 1,000 octets, a few hundred
/// more with MODP-8192 and many proposals. It is kept until its sender has
/// proved who it is.
pub const INIT_LEN_MAX: usize = 4096;

/// Most fragments of one message. Windows was seen sending 29 of 512 octets;
/// 64 KiB in fragments for the minimal IPv4 datagram are 128.
pub const FRAGMENTS_MAX: u16 = 128;

/// Memory for messages under reassembly of all SAs together, in octets: a
/// hundred thousand clients cannot hold more by sending all fragments but one.
pub const REASSEMBLY_TOTAL_MAX: usize = 32 << 20;

/// What a fragment costs beyond its octets, in octets: its place in the message
/// and what the allocator adds.
pub const FRAGMENT_COST: usize = 64;

/// How long a message may stay incomplete: longer than any client goes on
/// repeating a request (strongSwan: 165 s for six tries, but each repeat
/// brings every fragment again).
pub const REASSEMBLY_TIME_MAX: Duration = Duration::from_secs(30);

/// Most CHILD SAs of one IKE SA, those that are being replaced among them:
/// several subnets of a site, and room for rekeying.
pub const CHILDREN_MAX: usize = 64;

/// Most IKE SAs of one identity, unless the host says that many devices share it:
/// what one person has, and what those left behind on the way. The oldest go.
pub const IKE_SAS_OF_A_PEER_MAX: usize = 16;

/// Most certificates of one peer: a leaf and seven intermediates. Path building
/// is bounded by rustls-webpki besides.
pub const CERTIFICATES_MAX: usize = 8;

/// Longest EAP packet taken, in octets. Methods cut what they have to say to fit
/// links of about 1,500; RADIUS carries 4,096 in all.
pub const EAP_LEN_MAX: usize = 4096;

/// Most requests of one EAP conversation: EAP-TLS takes some ten, and twice that
/// where certificate chains go in small pieces.
pub const EAP_REQUESTS_MAX: u8 = 64;

/// How long an EAP conversation may take in all, but for the time that the
/// authenticator takes for its last answer: a person may have to look for a second
/// factor. Whoever answers slowly, in small pieces, holds memory no longer.
pub const EAP_TIME_MAX: Duration = Duration::from_secs(180);

/// Most proposals in an SA payload; the number has eight bits, Windows sends
/// 12 and then some.
pub const PROPOSALS_MAX: usize = 64;

/// Most traffic selectors in a TS payload; the count has eight bits.
pub const SELECTORS_MAX: usize = 64;

/// Longest identity in octets: distinguished names stay far below.
pub const IDENTITY_LEN_MAX: usize = 1024;

/// Times one stored response is sent again: twice what patient clients ask
/// for. Beyond that somebody replays a captured request.
pub const RESPONSE_REPEATS_MAX: u8 = 32;

/// How long a response is kept for who asks again (RFC 7296 §2.1: "several minutes"). The
/// most patient client, strongSwan, gives up after 165 s; of an SA that is up it would be
/// a third of all there is.
pub const RESPONSE_KEPT: Duration = Duration::from_secs(180);

/// Address prefixes whose working datagram size is remembered.
pub const PATH_SIZES_MAX: usize = 4096;

/// Addresses that are kept for peers that are away, in all pools together: the
/// clients of a large company, at some 200 octets each. Beyond that those given
/// back longest ago are forgotten; who knows a shared key may come as anybody.
pub const KEPT_ADDRESSES_MAX: usize = 65_536;

/// Smallest IP datagram every IPv4 host takes (RFC 791), and our floor for
/// fragments on both IP versions.
pub const DATAGRAM_LEN_MIN: u16 = 576;

/// How long a cookie secret is handed out; a cookie lives at most twice that.
pub const COOKIE_SECRET_LIFETIME: Duration = Duration::from_secs(60);

/// How long there must be less than half of what turns cookies on before they are
/// turned off: an attack pauses, and honest clients that were kept out come back.
pub const CALM_TIME: Duration = Duration::from_secs(10);

/// How long a client has for IKE_AUTH that came while cookies were asked of everybody,
/// if it is not less anyway. Of its requests two may be lost: strongSwan repeats
/// them after 4 and 11 s, Windows after 1, 3 and 7.
pub const HURRIED_HALF_OPEN: Duration = Duration::from_secs(15);

/// Messages that do not authenticate after which no IKE_AUTH is waited for any more.
/// No honest client sends one; whoever sees the SPIs on their way can.
pub const UNAUTHENTIC_MAX: u8 = 16;

/// Requests for unknown IKE SAs that are answered: a hundred in a second, as clients of
/// a gateway that was started anew come by the thousand, each again and again; ten of
/// one source, which may be a NAT with many clients behind it.
pub const INVALID_SPIS: Limits = Limits {
    source: Rate::per_second(10, 10),
    total: Rate::per_second(100, 100),
};

/// Questions how long a datagram may be that are answered: somebody who asks needs some ten in a
/// second for a few seconds, and who forges another's address makes us send it no more than that.
pub const SIZE_TESTS: Limits = Limits {
    source: Rate::per_second(20, 40),
    total: Rate::per_second(100, 200),
};

/// Longest of these answers, in octets: no path that matters takes more in a datagram.
pub const SIZE_TEST_LEN_MAX: usize = 1500;

/// How often a peer asks for the same response again before it counts as one that did not
/// get it: once is a datagram that crossed ours, or one that was lost.
pub const UNACKNOWLEDGED_MIN: u8 = 2;

/// How long a datagram size that was found to work is believed in: paths
/// change, and a handshake in smaller fragments than needed costs little.
pub const PATH_SIZE_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Most addresses that a certificate is taken to name for lists of what is
/// revoked, and as many for responders: authorities write one or two.
pub const STATUS_ADDRESSES_MAX: usize = 4;

/// Longest of these addresses, in octets: those in the field have 30 to 200.
pub const STATUS_ADDRESS_LEN_MAX: usize = 1024;

/// Octets of a revocation list (RFC 5280 §5): the largest of public authorities
/// have 10 million, those of companies some thousand.
pub const REVOCATION_LIST_LEN_MAX: usize = 16 << 20;

/// How long after its request a peer hears that it is not let in: longer than it
/// takes to verify a chain of certificates, and next to nothing to a person. What
/// takes longer, as a RADIUS server may, is told at the next multiple.
pub const DENIAL_STEP: Duration = Duration::from_millis(250);
