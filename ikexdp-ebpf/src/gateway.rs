//! What the classifier asks, answered from maps that the daemon fills.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::btf_maps::{Array, HashMap};
use aya_ebpf::macros::btf_map;
use ikexdp_common::classify::Gateway;
use ikexdp_common::maps::{Config, LOCAL_ADDRESSES};

const NO_PREALLOC: usize = BPF_F_NO_PREALLOC as usize;

#[btf_map]
static LOCAL_V4: HashMap<[u8; 4], u8, LOCAL_ADDRESSES, NO_PREALLOC> = HashMap::new();

#[btf_map]
static LOCAL_V6: HashMap<[u8; 16], u8, LOCAL_ADDRESSES, NO_PREALLOC> = HashMap::new();

#[btf_map]
static CONFIG: Array<u32, 1> = Array::new();

/// The gateway as its maps describe it.
pub(crate) struct Maps;

impl Gateway for Maps {
    #[inline(always)]
    fn owns_v4(&self, address: u32) -> bool {
        LOCAL_V4.get_ptr(address.to_be_bytes()).is_some()
    }

    #[inline(always)]
    fn owns_v6(&self, address: u128) -> bool {
        LOCAL_V6.get_ptr(address.to_be_bytes()).is_some()
    }

    #[inline(always)]
    fn drops_ikev1(&self) -> bool {
        config().drop_ikev1
    }
}

/// What the daemon has told.
#[inline(always)]
pub(crate) fn config() -> Config {
    CONFIG
        .get(0)
        .map_or_else(Config::default, |bits| Config::from_bits(*bits))
}
