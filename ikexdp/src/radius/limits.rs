//! Every bound on what a RADIUS server, or whoever says to be one, can make us
//! hold or do.

use std::time::Duration;

/// Longest packet (RFC 2865 §3), and a longer one is refused.
pub(super) const PACKET_LEN_MAX: usize = 4096;

/// Longest value of an attribute: its length has eight bits and counts two
/// octets before the value (RFC 2865 §5).
pub(super) const VALUE_LEN_MAX: usize = 253;

/// Servers of a table: each costs a conversation its time before the next is
/// asked, and no client waits for more.
pub const SERVERS_MAX: usize = 8;

/// Sockets to a server: 4,096 requests under way are more than a server answers
/// in the time that a client waits.
pub(super) const SOCKETS_MAX: usize = 16;

/// Requests that wait for an identifier of a server. Beyond that it is not slow
/// but gone, and a client hears sooner that it may not come in.
pub(super) const WAITING_MAX: usize = 4096;

/// How long a conversation may look for a server that answers, in all: no client
/// waits longer for IKE_AUTH (Windows: 30 s).
pub(super) const SEARCH_TIME_MAX: Duration = Duration::from_secs(60);

/// Longest wait before a request is repeated (RFC 5080 §2.2.1, MRT).
pub(super) const TIMEOUT_MAX: Duration = Duration::from_secs(16);

/// How long an identifier that nobody waits for any more is kept from others: a
/// late answer should meet nobody. It would not verify anyway.
pub(super) const IDENTIFIER_REST: Duration = Duration::from_secs(5);

/// How long to wait after a socket could not be read, as after an ICMP error,
/// so that a flood of them does not keep us busy.
pub(super) const RECEIVE_PAUSE: Duration = Duration::from_millis(20);

/// Framed-MTU: the longest EAP packet that the server may make. In an IKE message
/// of its own over Ethernet it leaves room for IPv6 (40), UDP (8), the non-ESP
/// marker (4), IKE (28), SK (4), the longest IV (16), padding (16) and ICV (32), and
/// EAP's payload header (4); and in RADIUS for all that goes with it. So neither
/// becomes IP fragments, even if the client cannot fragment at the IKE layer.
pub(super) const FRAMED_MTU: u32 = 1344;

/// Characters of a Reply-Message that go to the log.
pub(super) const MESSAGE_LEN_MAX: usize = 200;

/// Filter-Ids of one user.
pub(super) const GROUPS_MAX: usize = 64;

/// Class attributes that go back with accounting; servers send one or two.
pub(super) const CLASSES_MAX: usize = 8;

/// Octets of an MSK (RFC 3748 §7.10): shorter keys get zeros behind them, as
/// EAP-MSCHAPv2's have it everywhere.
pub(super) const MSK_LEN: usize = 64;

/// How often a server may want to hear of a session (RFC 2869 §5.16).
pub const INTERIM_INTERVAL_MIN: Duration = Duration::from_secs(60);

/// The same at the other end; a number above it is a mistake.
pub const INTERIM_INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);

/// Accounting records that wait for a server, of a table: a start and an end of
/// several thousand sessions, at some 500 octets each.
pub(super) const RECORDS_MAX: usize = 16_384;

/// Accounting records that are sent at a time: with one at a time a hundred
/// milliseconds to a server were ten records a second.
pub(super) const RECORDS_UNDER_WAY_MAX: usize = 64;

/// How often no server may take the record that accounting begins while others wait
/// for it; that is most of a minute, with the usual settings.
pub(super) const REFUSALS_MAX: u32 = 3;

/// How long records rest when no server has taken one.
pub(super) const RECORD_PAUSE: Duration = Duration::from_secs(2);

/// How long the daemon's end may wait for records to be taken.
pub const SETTLE_TIME_MAX: Duration = Duration::from_secs(5);

/// How old the time in a Disconnect-Request may be, or how far ahead
/// (RFC 5176 §6.3).
pub(super) const REQUEST_AGE_MAX: Duration = Duration::from_secs(300);

/// Answers to Disconnect-Requests that are kept for requests that come again, some
/// hundred octets each, and how long: as long as the time in one may count, so that
/// nobody ends another session by what he has heard.
pub(super) const ANSWERS_MAX: usize = 4096;
/// See [`ANSWERS_MAX`].
pub(super) const ANSWER_LIFETIME: Duration = Duration::from_secs(600);

/// How long sessions may take to be ended before we say that we cannot: the server
/// repeats itself after some seconds.
pub(super) const DISCONNECT_TIME_MAX: Duration = Duration::from_secs(5);
