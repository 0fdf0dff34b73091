//! Frames that a gateway may meet, and what becomes of them: the packet table, sequences for what
//! remembers, and any number drawn from these.

mod guard;
mod host;
mod mutate;
mod table;

use ikexdp::xdp::Program;
use ikexdp_common::maps::{Config, SOURCES_DEFAULT};

pub use self::{
    guard::{Case, PEER_V4, PEER_V6, cases, configurations, no_cookie},
    host::{Here, Told, secrets},
    mutate::Mutations,
    table::{BROADCAST, CUSTOMER, OURS_V4, OURS_V6, Row, SERVICE, init, marked, table, v4, v6},
};

/// Longer than any of these frames, in octets.
pub const FRAME_MAX: u16 = 3840;

/// Every configuration that the table holds under.
#[must_use]
pub fn configs() -> [Config; 2] {
    [false, true].map(|drop_ikev1| Config {
        frame_max: FRAME_MAX,
        drop_ikev1,
        ..Config::default()
    })
}

/// What drawn frames begin as.
#[must_use]
pub fn drawn_from() -> Vec<Vec<u8>> {
    let rows = table(configs()[0]).into_iter().map(|row| row.packet);
    let frames = cases().into_iter().flat_map(|case| case.frames);
    let packets = rows.chain(frames.map(|(packet, _)| packet));
    packets.map(|packet| packet.build()).collect()
}

/// The program in the kernel, as the gateway of the tables; it has no socket.
#[must_use]
pub fn load(told: &Told) -> Program {
    load_for(told, SOURCES_DEFAULT)
}

/// The same with room for so many sources.
#[must_use]
pub fn load_for(told: &Told, sources: u32) -> Program {
    let mut program = Program::load(told.config, sources).unwrap();
    let ours = [OURS_V4.into(), OURS_V6.into()].into();
    program.set_addresses(&ours).unwrap();
    program.set_broadcasts(&[BROADCAST].into()).unwrap();
    program.set_secrets(&secrets()).unwrap();
    program.set_listed(&told.listed).unwrap();
    program.set_kept_spis(&told.kept_spis).unwrap();
    program
}
