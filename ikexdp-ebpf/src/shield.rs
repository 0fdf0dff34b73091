//! What the guard asks, answered from maps that the daemon fills, and from buckets
//! that only the program touches.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::btf_maps::{Array, HashMap, LpmTrie, LruHashMap};
use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use aya_ebpf::macros::btf_map;
use ikexdp_common::address::Address;
use ikexdp_common::guard::{Bucket, Listing, Shield};
use ikexdp_common::limit::{Buckets, Over};
use ikexdp_common::maps::{Config, KEPT_SPIS_MAX, LISTED_ROOM, SOURCES_DEFAULT, Secrets};

use crate::gateway::Maps;

const NO_PREALLOC: usize = BPF_F_NO_PREALLOC as usize;

/// A bucket for everything that tokens are taken for.
type Row = [u64; Bucket::COUNT];

/// Those of a source that nothing was heard of. Not on the stack, which is short.
static FULL: &Row = &[0; Bucket::COUNT];

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
static SOURCES: LruHashMap<[u8; 16], Row, { SOURCES_DEFAULT as usize }> = LruHashMap::new();

#[btf_map]
static ALL: Array<Row, 1> = Array::new();

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
    fn take(&self, address: Address, bucket: Bucket) -> Result<(), Over> {
        take(&address, bucket)
    }
}

/// A function of its own: the stack of one is short.
#[inline(never)]
#[expect(unsafe_code, reason = "a helper of the kernel")]
fn take(address: &Address, bucket: Bucket) -> Result<(), Over> {
    let limits = config().limits(bucket);
    // That of the last tick, some milliseconds ago, which is cheaper to have than the time.
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    let Some(total) = ALL.get_ptr_mut(0).and_then(|all| bucket_of(all, bucket)) else {
        return Ok(());
    };
    if !limits.total.has(total, now) {
        return Err(Over::Total);
    }
    let network = address.network();
    // Who is not known has full buckets.
    let source = address.source();
    let (mut first, mut first_of_network) = (0, 0);
    let own = known(&source, bucket).unwrap_or(&mut first);
    // Before its network is looked for, which takes as long again.
    if !limits.source.has(own, now) {
        return Err(Over::Source);
    }
    let buckets = Buckets {
        source: own,
        network: network.map(|network| known(&network, bucket).unwrap_or(&mut first_of_network)),
        total,
    };
    limits.take(buckets, now)?;
    // Only who has taken a token is remembered, and so no faster than there are tokens:
    // nobody can have others forgotten.
    if first != 0 {
        remember(&source, bucket, first);
    }
    if let Some(network) = network
        && first_of_network != 0
    {
        remember(&network, bucket, first_of_network);
    }
    Ok(())
}

/// The bucket of a source, or of a network. A function of its own: otherwise the compiler
/// looks for the bucket before it knows that there is a row, which the verifier forbids.
#[inline(never)]
fn known(Address(key): &Address, bucket: Bucket) -> Option<&'static mut u64> {
    bucket_of(SOURCES.get_ptr_mut(key)?, bucket)
}

/// Begins to know a source, or a network.
#[inline(always)]
fn remember(key: &Address, bucket: Bucket, value: u64) {
    // CPUs that do so at once give it as many. Without room there is no limit.
    let Address(octets) = key;
    let _ = SOURCES.insert(octets, FULL, 0);
    if let Some(place) = known(key, bucket) {
        *place = value;
    }
}

#[inline(always)]
#[expect(unsafe_code, reason = "map values are plain memory")]
fn bucket_of(buckets: *mut Row, bucket: Bucket) -> Option<&'static mut u64> {
    // SAFETY: the pointer is to a value of a map, whose memory is there until the program
    // ends. Other CPUs may write the same word, never half of it; what that does to a
    // limit, `limit` tells. A row may become another source's meanwhile, which costs that
    // one a token.
    let buckets = unsafe { &mut *buckets };
    buckets.get_mut(bucket as usize)
}
