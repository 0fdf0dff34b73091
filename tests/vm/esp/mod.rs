//! What `ikexdp::xfrm` has the kernel do, without IKE: both ends are told the keys.

mod end;
mod events;
mod moves;
mod order;
mod tunnels;
