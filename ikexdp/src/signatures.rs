//! Certificates' signatures that have been verified, for a while.

use std::collections::HashSet;
use std::mem::take;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ikexdp_proto::crypto::cert::{SignatureDigest, SignatureMemory};

/// How many are remembered before those that nobody has asked for are forgotten: twice as many are
/// there at most, of some 40 octets each.
const GENERATION: usize = 8192;

/// The last that were seen, of those that are good.
#[derive(Debug, Default)]
pub struct Signatures(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<SignatureDigest>,
    old: HashSet<SignatureDigest>,
}

impl SignatureMemory for Signatures {
    fn knows(&self, digest: &SignatureDigest) -> bool {
        let mut generations = self.lock();
        if generations.young.contains(digest) {
            return true;
        }
        let is_old = generations.old.contains(digest);
        if is_old {
            generations.remember(*digest);
        }
        is_old
    }

    fn remember(&self, digest: SignatureDigest) {
        self.lock().remember(digest);
    }
}

impl Signatures {
    /// Who panicked with it has left a set of good signatures.
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn remember(&mut self, digest: SignatureDigest) {
        if self.young.len() >= GENERATION {
            self.old = take(&mut self.young);
        }
        self.young.insert(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> SignatureDigest {
        let mut digest = SignatureDigest::default();
        digest[..8].copy_from_slice(&number.to_be_bytes());
        digest
    }

    /// What is asked for stays, what is not goes, and there are never more than so many.
    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let signatures = Signatures::default();
        for number in 0..10 * GENERATION {
            signatures.remember(digest(number));
            assert!(signatures.knows(&digest(0)), "{number}");
            let generations = signatures.lock();
            assert!(generations.young.len() <= GENERATION);
            assert!(generations.old.len() <= GENERATION);
        }
        assert!(!signatures.knows(&digest(1)));
        assert!(signatures.knows(&digest(10 * GENERATION - 1)));
    }
}
