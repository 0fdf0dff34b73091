//! What the test tiers share: networks, peers, captures.
