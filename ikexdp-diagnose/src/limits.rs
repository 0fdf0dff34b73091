//! Bounds on what a capture can make us hold or do, each with its reason.

/// Octets of the reader's buffer: the longest block of a capture that is read. libpcap captures at most 262,144
/// octets of a frame, and a block of pcapng adds options to that.
pub const BLOCK_MAX: usize = 512 * 1024;

/// Interfaces of one section of pcapng. A host has some dozens; Wireshark makes no more than it captures on.
pub const INTERFACES_MAX: usize = 4096;

/// IKE SAs whose keys are kept. The daemon's table, which is 16 MiB long at most, has room for some 40,000.
pub const KEYS_MAX: usize = 65_536;

/// Attempts that are kept. A capture of a day of one gateway has thousands; each may hold
/// [`OCTETS_PER_ATTEMPT`], so it is their sum, [`OCTETS_MAX`], that bounds memory.
pub const ATTEMPTS_MAX: usize = 20_000;

/// Messages that are kept of one attempt: IKE_AUTH in 64 fragments each way, a dozen exchanges of EAP, and six
/// repeats of each are below it.
pub const MESSAGES_PER_ATTEMPT: usize = 2048;

/// Octets of messages that are kept of one attempt, for who has keys.
pub const OCTETS_PER_ATTEMPT: usize = 256 * 1024;

/// Octets of messages that are kept of all attempts together. What was read of their payloads is beside that, and
/// small: of a cookie only that it was there, of a name 255 octets, and proposals as far as `ikexdp-proto` takes them.
pub const OCTETS_MAX: usize = 64 * 1024 * 1024;

/// Messages that are kept of all attempts together.
pub const MESSAGES_MAX: usize = 200_000;

/// Payloads that are read of one message, and attributes of one payload: Windows sends one CERTREQ and a dozen
/// others, others a CERTREQ for each authority.
pub const PAYLOADS_PER_MESSAGE: usize = 256;

/// Notifies that are remembered of one message. Clients send ten at most.
pub const NOTIFIES_PER_MESSAGE: usize = 64;

/// Datagrams in IP fragments under watch at the same time.
pub const FRAGMENTED_MAX: usize = 1024;

/// IP fragments of one datagram: 64 KiB in those of a link of 576 octets are 119.
pub const PIECES_MAX: usize = 128;

/// Octets of a datagram that is put together from IP fragments: what IP can carry.
pub const DATAGRAM_MAX: usize = 65_535;

/// Octets of all datagrams that are being put together.
pub const FRAGMENTED_OCTETS_MAX: usize = 16 * 1024 * 1024;

/// Datagrams in IP fragments that never became whole and are kept for the report.
pub const LOOSE_MAX: usize = 4096;

/// Flows of ESP that are counted: two for each tunnel that passes the capturing host.
pub const ESP_FLOWS_MAX: usize = 16_384;

/// Flows of ESP one way between two sockets, or between two hosts without UDP, that are counted for one attempt: one
/// for each CHILD SA and each time it is replaced. Attempts without end between the same hosts would else cost the
/// square of them.
pub const ESP_FLOWS_PER_ATTEMPT: usize = 256;

/// Fragments that an IKE message may claim to be in: the most that any implementation takes, strongSwan's. Ours
/// takes 128.
pub const IKE_FRAGMENTS_MAX: u16 = 255;

/// Numbers of missing fragments that are shown; the rest is counted.
pub const MISSING_SHOWN: usize = 16;

/// ICMP errors that are kept.
pub const ICMP_MAX: usize = 1024;

/// VLAN tags on a frame: a provider's, a customer's, and one for luck.
pub const TAGS_MAX: usize = 4;

/// Frames that are named as evidence of one thing; the rest is counted.
pub const EVIDENCE_FRAMES_MAX: usize = 32;

/// Comments of a capture that are shown.
pub const COMMENTS_MAX: usize = 16;

/// Link types without a reader that are named.
pub const UNKNOWN_LINKS_MAX: usize = 8;

/// Pairs of equal messages by which two clocks are compared: medians need no more.
pub const MATCHES_MAX: usize = 65_536;
