//! Attaches the XDP program and then does nothing, for tests that kill it.

use std::io::{self, Write as _};
use std::{env, thread};

use ikexdp::xdp::{Interface, Mode, Program};
use ikexdp_common::maps::{Config, SOURCES_DEFAULT};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(name), Some(mode)) = (arguments.next(), arguments.next()) else {
        return Err("usage: attach INTERFACE native|generic".into());
    };
    let modes: Vec<Mode> = Mode::ALL
        .into_iter()
        .filter(|known| known.to_string() == mode)
        .collect();
    let mut program = Program::load(Config::default(), SOURCES_DEFAULT)?;
    let _attachment = program.attach(&Interface::find(&name)?, &modes)?;
    writeln!(io::stderr(), "attached")?;
    loop {
        thread::park();
    }
}
