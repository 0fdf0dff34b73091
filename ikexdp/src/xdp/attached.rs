//! The program as it hangs on an interface, whoever runs it.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use aya::maps::{Map, MapData, MapError, MapInfo, PerCpuArray};
use aya::programs::{ProgramError, ProgramInfo, loaded_programs};
use ikexdp_common::maps::COUNTERS;
use ikexdp_common::verdict::Verdict;

use super::interface::{InterfaceError, occupant};
use super::{Counters, Mode, NAME};
use crate::causes::causes;
use crate::process::Process;

/// Why the counters on an interface cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AttachedError {
    /// There is none of this name.
    #[error("no such interface: {interface}; hint: `ip link` lists them")]
    NoInterface {
        /// The name asked for.
        interface: String,
    },
    /// It has no program.
    #[error(
        "no XDP program on {interface}; \
         hint: ikexdp does not run, or has another `gateway.interface` or `transport = \"udp\"`"
    )]
    Missing {
        /// The interface.
        interface: String,
    },
    /// It has another program.
    #[error(
        "the XDP program on {interface} is none of ikexdp's: {program} (id {id}); \
         hint: `bpftool prog show id {id}` tells more of it"
    )]
    Foreign {
        /// The interface.
        interface: String,
        /// The other program's name.
        program: String,
        /// The other program's id.
        id: u32,
    },
    /// The daemon counts what we do not know, or the other way round.
    #[error(
        "the program on {interface} has {found} counters, and this command knows {known}; \
         hint: ask with the version that runs there"
    )]
    OtherVersion {
        /// The interface.
        interface: String,
        /// How many the program has.
        found: u32,
        /// How many we know.
        known: usize,
    },
    /// The kernel shows programs and maps to few.
    #[error("not allowed to look at XDP programs; hint: run as root")]
    NotAllowed,
    /// The kernel does not tell of the interface.
    #[error(transparent)]
    Interface(InterfaceError),
    /// The kernel does not tell of the program.
    #[error("cannot read what the kernel knows of XDP program {id}")]
    Program {
        /// Its id.
        id: u32,
        /// Why not.
        source: ProgramError,
    },
    /// The kernel does not tell what is in the program's maps.
    #[error("cannot read the maps of XDP program {id}")]
    Maps {
        /// Its id.
        id: u32,
        /// Why not.
        source: MapError,
    },
}

/// A program of ours on an interface: of the daemon that runs, or that hangs.
pub struct Attached {
    id: u32,
    mode: Mode,
    program: ProgramInfo,
    counters: PerCpuArray<MapData, u64>,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached")
            .field("id", &self.id)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Attached {
    /// Finds the program on `interface`, by way of the kernel alone. It and its
    /// maps stay as long as this is held, but nothing is attached by it.
    ///
    /// # Errors
    /// [`AttachedError`] if there is none, or another's, or we may not look.
    pub fn find(interface: &str) -> Result<Self, AttachedError> {
        let name = || interface.to_owned();
        let occupant = occupant(interface).map_err(|error| match error {
            InterfaceError::Missing { name } => AttachedError::NoInterface { interface: name },
            error => AttachedError::Interface(error),
        })?;
        let Some(occupant) = occupant else {
            return Err(AttachedError::Missing { interface: name() });
        };
        let id = occupant.id;
        let program = program(id)?;
        let known = match program {
            Some(program) if program.name() == NAME.as_bytes() => {
                map_info(&program, COUNTERS)?.map(|map| (program, map))
            }
            _ => None,
        };
        let Some((program, map)) = known else {
            return Err(AttachedError::Foreign {
                interface: name(),
                program: occupant.program,
                id,
            });
        };
        if usize::try_from(map.max_entries()) != Ok(Verdict::COUNT) {
            return Err(AttachedError::OtherVersion {
                interface: name(),
                found: map.max_entries(),
                known: Verdict::COUNT,
            });
        }
        let counters = open(&map).map_err(|source| AttachedError::Maps { id, source })?;
        Ok(Self {
            id,
            mode: occupant.mode,
            program,
            counters,
        })
    }

    /// Its id, as `bpftool prog` shows it.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Where it runs.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The process that keeps it there, if we may look.
    #[must_use]
    pub fn process(&self) -> Option<Process> {
        Process::find(|process| {
            let descriptors = fs::read_dir(process.join("fdinfo")).into_iter().flatten();
            descriptors
                .flatten()
                .any(|descriptor| is_link(&descriptor.path(), self.id))
        })
    }

    /// Reads its counters.
    ///
    /// # Errors
    /// [`AttachedError`] if the kernel refuses, which it has no reason to.
    pub fn counters(&self) -> Result<Counters, AttachedError> {
        Counters::read(&self.counters).map_err(|source| self.unreadable(source))
    }

    /// The map of this name.
    pub(super) fn map<M: TryFrom<Map, Error = MapError>>(
        &self,
        name: &str,
    ) -> Result<M, AttachedError> {
        let map = map_info(&self.program, name)?.ok_or_else(|| MapError::InvalidName {
            name: name.to_owned(),
        });
        let map = map.and_then(|map| open(&map));
        map.map_err(|source| self.unreadable(source))
    }

    pub(super) const fn unreadable(&self, source: MapError) -> AttachedError {
        AttachedError::Maps {
            id: self.id,
            source,
        }
    }
}

/// The program of this id, unless it has gone meanwhile.
fn program(id: u32) -> Result<Option<ProgramInfo>, AttachedError> {
    for program in loaded_programs() {
        match program {
            Ok(program) if program.id() == id => return Ok(Some(program)),
            Ok(_) => {}
            // One that ended while we counted.
            Err(error) if errno(&error) == Some(libc::ENOENT) => {}
            Err(error) if errno(&error) == Some(libc::EPERM) => {
                return Err(AttachedError::NotAllowed);
            }
            Err(source) => return Err(AttachedError::Program { id, source }),
        }
    }
    Ok(None)
}

/// What the kernel knows of the program's map of this name, if it has one.
fn map_info(program: &ProgramInfo, name: &str) -> Result<Option<MapInfo>, AttachedError> {
    let id = program.id();
    let ids = program
        .map_ids()
        .map_err(|source| AttachedError::Program { id, source })?;
    for map in ids.unwrap_or_default() {
        let map = MapInfo::from_id(map).map_err(|source| AttachedError::Maps { id, source })?;
        if map.name() == name.as_bytes() {
            return Ok(Some(map));
        }
    }
    Ok(None)
}

fn open<M: TryFrom<Map, Error = MapError>>(map: &MapInfo) -> Result<M, MapError> {
    MapData::from_id(map.id())
        .and_then(Map::from_map_data)
        .and_then(M::try_from)
}

/// Whether a descriptor, by its file in `fdinfo`, is a link of XDP program `id`.
fn is_link(descriptor: &Path, id: u32) -> bool {
    let text = fs::read_to_string(descriptor).unwrap_or_default();
    let has = |field: &str, wanted: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(field));
        value.map(str::trim) == Some(wanted)
    };
    has("link_type:", "xdp") && has("prog_id:", &id.to_string())
}

fn errno(error: &ProgramError) -> Option<i32> {
    causes(error).find_map(|cause| {
        let cause: Option<&io::Error> = cause.downcast_ref();
        cause.and_then(io::Error::raw_os_error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_link_is_known_by_its_kind_and_its_program() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("7");
        let is_link = |text: &str| {
            fs::write(&file, text).unwrap();
            super::is_link(&file, 42)
        };
        let link =
            "pos:\t0\nlink_type:\txdp\nlink_id:\t3\nprog_tag:\t6f\nprog_id:\t42\nifindex:\t2\n";
        assert!(is_link(link));
        assert!(!is_link(&link.replace("42", "421")));
        assert!(!is_link(&link.replace("xdp", "xdpx")));
        // Whoever looks at a program holds it as well.
        assert!(!is_link("pos:\t0\nprog_type:\t6\nprog_id:\t42\n"));
    }

    #[test]
    fn an_interface_without_a_program_is_told_apart_from_none() {
        let error = Attached::find("lo").unwrap_err();
        assert!(matches!(error, AttachedError::Missing { .. }), "{error}");
        let error = Attached::find("nowhere0").unwrap_err();
        assert!(
            matches!(error, AttachedError::NoInterface { .. }),
            "{error}"
        );
    }
}
