//! `cargo xtask build`

use anyhow::Result;

use crate::{
    command::{cargo, root, run, words},
    setup,
};

/// Builds the daemon for use and says where it is.
///
/// # Errors
/// The set-up or the build fails.
pub(crate) fn daemon() -> Result<()> {
    setup::for_build()?;
    run(cargo().args(words("build --release --package ikexdp")))?;
    println!("{}", root().join("target/release/ikexdp").display());
    Ok(())
}
