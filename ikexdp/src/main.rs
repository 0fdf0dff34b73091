//! The `ikexdp` binary.

fn main() {}
