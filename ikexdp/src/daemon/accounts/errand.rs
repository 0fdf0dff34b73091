//! Jobs that tell what a session has carried.

use ikexdp_proto::data_plane::{Direction, Volume};
use ikexdp_proto::eap::Account;
use ikexdp_proto::job::{Job, JobResult};

use crate::radius::SessionId;

/// A job that is out.
#[derive(Debug)]
pub(super) struct Errand {
    /// Whose SAs it is about.
    pub(super) session: SessionId,
    pub(super) kind: Kind,
}

/// What it does.
#[derive(Debug)]
pub(super) enum Kind {
    /// It takes SAs out of the kernel.
    Removal,
    /// It asks what those have carried that are there, in these directions.
    Measurement(Vec<Direction>),
}

/// What came of it; nothing carried if nobody could tell.
#[derive(Debug)]
pub(super) enum Outcome {
    /// SAs are gone that have carried this.
    Removed(Volume),
    /// SAs that are there have carried this so far.
    Measured(Volume),
}

impl Errand {
    /// Whether it is one, and on whose account.
    pub(super) fn of(job: &Job) -> Option<(&Account, Kind)> {
        match job {
            Job::DataPlane { account, .. } => Some((account.as_ref()?, Kind::Removal)),
            Job::Measure { sas, account } => {
                let directions = sas.iter().map(|name| name.direction).collect();
                Some((account.as_ref()?, Kind::Measurement(directions)))
            }
            _ => None,
        }
    }

    pub(super) fn outcome(self, result: &JobResult) -> Outcome {
        match self.kind {
            Kind::Removal => Outcome::Removed(match result {
                JobResult::DataPlane(Ok(volume)) => *volume,
                _ => Volume::default(),
            }),
            Kind::Measurement(directions) => {
                let mut volume = Volume::default();
                if let JobResult::Carried(Ok(carried)) = result {
                    for (direction, carried) in directions.into_iter().zip(carried) {
                        volume.add(direction, *carried);
                    }
                }
                Outcome::Measured(volume)
            }
        }
    }
}
