//! What the engine's host does in tests without a network.

use std::sync::mpsc;
use std::time::Duration;

use ikexdp_proto::crypto::cert::{NoMemory, NoStatusSource, StatusSource};
use ikexdp_proto::data_plane::DataPlane;
use ikexdp_proto::job::{Job, JobHost, JobResult};
use ring::rand::SystemRandom;
use rustls_pki_types::UnixTime;

/// When all certificates of [`Parties`](crate::parties::Parties) are valid, in seconds of Unix time.
pub const NOW: Duration = Duration::from_secs(2_000_000_000);

/// Does a job, at once.
#[must_use]
pub fn run(job: Job, data_plane: &dyn DataPlane) -> JobResult {
    run_asking(job, data_plane, &NoStatusSource)
}

/// Does a job, at once; `status` is who can be asked what has been revoked.
#[must_use]
pub fn run_asking(job: Job, data_plane: &dyn DataPlane, status: &dyn StatusSource) -> JobResult {
    let host = JobHost {
        random: &SystemRandom::new(),
        unix_time: UnixTime::since_unix_epoch(NOW),
        data_plane,
        status,
        signatures: &NoMemory,
    };
    let (done, result) = mpsc::channel();
    job.run(host, move |result| done.send(result).unwrap());
    // Whoever says nothing at once gives up.
    result.try_recv().unwrap_or(JobResult::Abandoned)
}
