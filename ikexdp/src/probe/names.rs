//! Algorithms by the names that they have in the configuration.

use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::wire::iana::GroupId;

/// A group.
pub(super) fn group(id: GroupId) -> String {
    let known = Group::ALL.into_iter().find(|group| group.id() == id);
    known.map_or_else(|| format!("group {id}"), |group| group.to_string())
}
