//! What the guard asks, answered from maps that the daemon fills, and from buckets
//! that only the program touches.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::btf_maps::{Array, HashMap, LpmTrie, LruHashMap};
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::btf_map;
use ikexdp_common::address::Address;
use ikexdp_common::guard::{Bucket, Listing, Shield};
use ikexdp_common::limit::Rate;
use ikexdp_common::maps::{Config, KEPT_SPIS_MAX, LISTED_ROOM, SOURCES_DEFAULT, Secrets};

use crate::gateway::Maps;

const NO_PREALLOC: usize = BPF_F_NO_PREALLOC as usize;

/// A bucket for everything that tokens are taken for.
type Buckets = [u64; Bucket::COUNT];

#[btf_map]
static CONFIG: Array<[u64; Config::WORDS], 1> = Array::new();

#[btf_map]
static SECRETS: Array<[u64; Secrets::WORDS], 1> = Array::new();

#[btf_map]
static KEPT_SPIS: HashMap<u64, u8, KEPT_SPIS_MAX, NO_PREALLOC> = HashMap::new();

#[btf_map]
static LISTED: LpmTrie<[u8; 16], u8, LISTED_ROOM> = LpmTrie::new();

/// The daemon asks for as many as its configuration says.
#[btf_map]
static SOURCES: LruHashMap<[u8; 16], Buckets, { SOURCES_DEFAULT as usize }> = LruHashMap::new();

#[btf_map]
static ALL: Array<Buckets, 1> = Array::new();

/// What the daemon has told.
#[inline(always)]
pub(crate) fn config() -> Config {
    CONFIG
        .get(0)
        .map_or_else(Config::default, Config::from_words)
}

impl Shield for Maps {
    #[inline(always)]
    fn config(&self) -> Config {
        config()
    }

    #[inline(always)]
    fn secrets(&self) -> Secrets {
        Secrets::from_words(SECRETS.get(0).unwrap_or(&[0; Secrets::WORDS]))
    }

    #[inline(always)]
    fn is_ours(&self, address: Address) -> bool {
        match address.to_v4() {
            Some(octets) => self.local_v4(octets).is_some(),
            None => self.has_v6(address.0),
        }
    }

    #[inline(always)]
    fn listing(&self, address: Address) -> Listing {
        let listed = LISTED.get(&Key::new(128, address.0));
        listed.map_or(Listing::Unlisted, |value| Listing::from_u8(*value))
    }

    #[inline(always)]
    fn is_kept(&self, spi: u64) -> bool {
        KEPT_SPIS.get_ptr(spi).is_some()
    }

    #[inline(always)]
    fn take(&self, source: Address, bucket: Bucket, rate: Rate) -> bool {
        rate.interval == 0 || take_of(&source, bucket, &rate)
    }

    #[inline(always)]
    fn take_of_all(&self, bucket: Bucket, rate: Rate) -> bool {
        if rate.interval == 0 {
            return true;
        }
        ALL.get_ptr_mut(0)
            .is_some_and(|buckets| take(buckets, bucket, rate))
    }
}

/// A function of its own: the stack of one is short.
#[inline(never)]
fn take_of(source: &Address, bucket: Bucket, rate: &Rate) -> bool {
    if let Some(buckets) = SOURCES.get_ptr_mut(source.0) {
        return take(buckets, bucket, *rate);
    }
    // Two CPUs at once may both begin with a full bucket; so may a source that was
    // forgotten.
    let mut buckets: Buckets = [0; Bucket::COUNT];
    let is_taken = take(&raw mut buckets, bucket, *rate);
    let _ = SOURCES.insert(source.0, buckets, 0);
    is_taken
}

#[inline(always)]
#[expect(unsafe_code, reason = "map values are plain memory")]
fn take(buckets: *mut Buckets, bucket: Bucket, rate: Rate) -> bool {
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: the pointer is to a value of a map, or on the stack. Other CPUs may write
    // the same word, never half of it; what that does to a limit, `limit` tells.
    let buckets = unsafe { &mut *buckets };
    buckets
        .get_mut(bucket as usize)
        .is_some_and(|bucket| rate.take(bucket, now))
}
