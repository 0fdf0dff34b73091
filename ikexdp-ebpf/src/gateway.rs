//! What the classifier asks, answered from maps that the daemon fills.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::btf_maps::{Array, HashMap};
use aya_ebpf::macros::btf_map;
use ikexdp_common::address::Address;
use ikexdp_common::classify::Gateway;
use ikexdp_common::filter::AddressFilter;
use ikexdp_common::maps::{LOCAL, LOCAL_ADDRESSES};

use crate::shield::config;

const NO_PREALLOC: usize = BPF_F_NO_PREALLOC as usize;

// An address has a broadcast address at most.
#[btf_map]
static LOCAL_V4: HashMap<[u8; 4], u8, { 2 * LOCAL_ADDRESSES }, NO_PREALLOC> = HashMap::new();

#[btf_map]
static LOCAL_V6: HashMap<[u8; 16], u8, LOCAL_ADDRESSES, NO_PREALLOC> = HashMap::new();

#[btf_map]
static LOCAL_FILTER: Array<[u64; AddressFilter::WORDS], 1> = Array::new();

/// The gateway as its maps describe it.
pub(crate) struct Maps;

impl Maps {
    /// What the address is to the gateway, if anything.
    #[inline(always)]
    #[expect(unsafe_code, reason = "map values are plain memory")]
    pub(crate) fn local_v4(&self, address: [u8; 4]) -> Option<u8> {
        if !may_be_local(Address::from_v4(address)) {
            return None;
        }
        // SAFETY: an octet cannot be half written.
        LOCAL_V4.get_ptr(address).map(|kind| unsafe { *kind })
    }

    #[inline(always)]
    pub(crate) fn has_v6(&self, address: [u8; 16]) -> bool {
        may_be_local(Address(address)) && LOCAL_V6.get_ptr(address).is_some()
    }
}

/// Whether it is worth a search, which takes longer than all else that is done for a
/// packet in transit.
#[inline(always)]
fn may_be_local(address: Address) -> bool {
    LOCAL_FILTER
        .get(0)
        .is_some_and(|words| AddressFilter::may_have(words, address))
}

impl Gateway for Maps {
    #[inline(always)]
    fn owns_v4(&self, address: u32) -> bool {
        self.local_v4(address.to_be_bytes()) == Some(LOCAL)
    }

    #[inline(always)]
    fn owns_v6(&self, address: u128) -> bool {
        self.has_v6(address.to_be_bytes())
    }

    #[inline(always)]
    fn drops_ikev1(&self) -> bool {
        config().drop_ikev1
    }
}
