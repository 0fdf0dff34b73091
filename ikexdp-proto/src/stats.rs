//! What the engine counts.

use ikexdp_common::counters;

counters! {
    /// A counter of the engine.
    pub enum Stat {
        /// IKE messages received, fragments counted one by one.
        Received = "received",
        /// IKE messages sent, fragments counted one by one.
        Sent = "sent",
        /// Messages whose header cannot be read.
        MalformedHeader = "malformed_header",
        /// Messages of a major version we do not speak.
        UnsupportedVersion = "unsupported_version",
        /// Messages for an IKE SA we do not have.
        UnknownSpi = "unknown_spi",
        /// Requests for an IKE SA we do not have, answered with INVALID_IKE_SPI.
        InvalidSpiSent = "invalid_spi_sent",
        /// The same, not answered because others were.
        InvalidSpiWithheld = "invalid_spi_withheld",
        /// INVALID_IKE_SPI received, which proves nothing.
        InvalidSpiReceived = "invalid_spi_received",
        /// IKE_SA_INIT requests that began a handshake.
        InitAccepted = "init_accepted",
        /// IKE_SA_INIT requests that were repeats.
        InitRepeated = "init_repeated",
        /// IKE_SA_INIT requests dropped because the host is about to leave.
        InitLeaving = "init_leaving",
        /// IKE_SA_INIT requests that cannot be read, or whose public value is none.
        InitMalformed = "init_malformed",
        /// IKE_SA_INIT requests answered with COOKIE.
        CookieSent = "cookie_sent",
        /// IKE_SA_INIT requests of `ikexdp mtu`, answered by as many octets as they want.
        SizeTestAnswered = "size_test_answered",
        /// Such questions that came too often to be answered.
        SizeTestWithheld = "size_test_withheld",
        /// IKE_SA_INIT requests dropped at the half-open limit.
        HalfOpenLimit = "half_open_limit",
        /// IKE_SA_INIT requests dropped at the half-open limit of their source.
        HalfOpenOfSource = "half_open_of_source",
        /// IKE_SA_INIT requests dropped at the half-open limit of their network.
        HalfOpenOfNetwork = "half_open_of_network",
        /// IKE_SA_INIT requests with a good cookie dropped over the rate of all.
        InitRateLimit = "init_rate_limit",
        /// IKE_SA_INIT requests with a good cookie dropped over the rate of their source.
        InitRateOfSource = "init_rate_of_source",
        /// IKE_SA_INIT requests with a good cookie dropped over the rate of their network.
        InitRateOfNetwork = "init_rate_of_network",
        /// IKE_SA_INIT requests answered with INVALID_KE_PAYLOAD.
        InvalidKeSent = "invalid_ke_sent",
        /// IKE_SA_INIT requests answered with NO_PROPOSAL_CHOSEN.
        NoProposalSent = "no_proposal_sent",
        /// Messages that do not authenticate.
        Unauthentic = "unauthentic",
        /// Encrypted payloads that are malformed in the clear.
        MalformedEncrypted = "malformed_encrypted",
        /// Messages outside the window of message IDs.
        OutOfWindow = "out_of_window",
        /// Messages that came while the work of their exchange was under way.
        Busy = "busy",
        /// Requests answered again with the stored response.
        ResponseRepeated = "response_repeated",
        /// Requests repeated for want of a response.
        RequestRepeated = "request_repeated",
        /// Fragments received.
        FragmentReceived = "fragment_received",
        /// Fragments that came twice or belong to a smaller total.
        FragmentStale = "fragment_stale",
        /// Fragments sent.
        FragmentSent = "fragment_sent",
        /// Messages put together from fragments.
        Reassembled = "reassembled",
        /// Incomplete messages given up because they took too long.
        ReassemblyExpired = "reassembly_expired",
        /// Incomplete messages given up for want of memory.
        ReassemblyEvicted = "reassembly_evicted",
        /// Messages over a limit on length or number of fragments.
        OverLimit = "over_limit",
        /// Messages sent again in smaller fragments.
        FragmentsLowered = "fragments_lowered",
        /// Handshakes with peers that cannot fragment (no 16430).
        PeerWithoutFragmentation = "peer_without_fragmentation",
        /// IKE SAs established.
        Established = "established",
        /// Handshakes that ran out of time.
        HandshakeTimeout = "handshake_timeout",
        /// Handshakes that failed to authenticate the peer.
        AuthenticationFailed = "authentication_failed",
        /// Handshakes that failed for another reason.
        HandshakeFailed = "handshake_failed",
        /// IKE SAs closed, by either side.
        Closed = "closed",
        /// IKE SAs closed because the peer was silent.
        DeadPeer = "dead_peer",
        /// IKE SAs that took the place of others.
        Rekeyed = "rekeyed",
        /// Requests for SAs answered with TEMPORARY_FAILURE: two at a time.
        Collision = "collision",
        /// Peers that came from another address or port than before.
        Moved = "moved",
        /// CHILD SAs established.
        ChildEstablished = "child_established",
        /// CHILD SAs that took the place of others.
        ChildRekeyed = "child_rekeyed",
        /// CHILD SAs refused.
        ChildRefused = "child_refused",
        /// CHILD SAs closed.
        ChildClosed = "child_closed",
        /// Requests for an address that a pool could not meet.
        PoolExhausted = "pool_exhausted",
    }
}

/// The counters of an endpoint since it was made.
#[derive(Clone, Debug)]
pub struct Stats([u64; Stat::COUNT]);

impl Default for Stats {
    fn default() -> Self {
        Self([0; Stat::COUNT])
    }
}

impl Stats {
    /// Counts once.
    pub fn count(&mut self, stat: Stat) {
        if let Some(value) = self.0.get_mut(stat.index()) {
            *value = value.wrapping_add(1);
        }
    }

    /// The value of `stat`.
    #[must_use]
    pub fn value(&self, stat: Stat) -> u64 {
        self.0.get(stat.index()).copied().unwrap_or_default()
    }

    /// Every counter with its value.
    pub fn iter(&self) -> impl Iterator<Item = (Stat, u64)> {
        Stat::ALL.iter().copied().zip(self.0)
    }
}
