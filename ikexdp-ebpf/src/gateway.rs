//! What the classifier asks, answered from maps that the daemon fills.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::btf_maps::HashMap;
use aya_ebpf::macros::btf_map;
use ikexdp_common::classify::Gateway;
use ikexdp_common::maps::{LOCAL, LOCAL_ADDRESSES};

use crate::shield::config;

const NO_PREALLOC: usize = BPF_F_NO_PREALLOC as usize;

// An address has a broadcast address at most.
#[btf_map]
static LOCAL_V4: HashMap<[u8; 4], u8, { 2 * LOCAL_ADDRESSES }, NO_PREALLOC> = HashMap::new();

#[btf_map]
static LOCAL_V6: HashMap<[u8; 16], u8, LOCAL_ADDRESSES, NO_PREALLOC> = HashMap::new();

/// The gateway as its maps describe it.
pub(crate) struct Maps;

impl Maps {
    /// What the address is to the gateway, if anything.
    #[inline(always)]
    #[expect(unsafe_code, reason = "map values are plain memory")]
    pub(crate) fn local_v4(&self, address: [u8; 4]) -> Option<u8> {
        // SAFETY: an octet cannot be half written.
        LOCAL_V4.get_ptr(address).map(|kind| unsafe { *kind })
    }

    #[inline(always)]
    pub(crate) fn has_v6(&self, address: [u8; 16]) -> bool {
        LOCAL_V6.get_ptr(address).is_some()
    }
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
