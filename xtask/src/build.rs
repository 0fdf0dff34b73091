//! `cargo xtask build`

use anyhow::Result;

use crate::{
    artifact::Artifact,
    command::{cargo, words},
    setup,
};

/// Builds the daemon for use and says where it is.
///
/// # Errors
/// The set-up or the build fails.
pub(crate) fn daemon() -> Result<()> {
    setup::for_build()?;
    let build = "build --release --package ikexdp";
    let artifacts = Artifact::build(cargo().args(words(build)))?;
    println!("{}", Artifact::program(&artifacts, "ikexdp")?.display());
    Ok(())
}
