//! What jobs are done with.

use std::sync::Arc;

use ikexdp_proto::crypto::cert::StatusSource;
use ikexdp_proto::data_plane::DataPlane;
use ikexdp_proto::job::{Job, JobHost, JobResult};
use ring::rand::SystemRandom;

use crate::clock;
use crate::signatures::Signatures;

/// What all threads that do jobs share.
#[derive(Debug)]
pub(super) struct Tools {
    random: SystemRandom,
    data_plane: Arc<dyn DataPlane>,
    status: Arc<dyn StatusSource>,
    signatures: Signatures,
}

impl Tools {
    pub(super) fn new(data_plane: Arc<dyn DataPlane>, status: Arc<dyn StatusSource>) -> Self {
        Self {
            random: SystemRandom::new(),
            data_plane,
            status,
            signatures: Signatures::default(),
        }
    }

    /// Whether there is no kernel to wait for.
    pub(super) fn is_kernel_immediate(&self) -> bool {
        self.data_plane.is_immediate()
    }

    /// Does a job, and hands what came of it to `done`.
    pub(super) fn run(&self, job: Job, done: impl FnOnce(JobResult) + Send + 'static) {
        let host = JobHost {
            random: &self.random,
            unix_time: clock::unix_time(),
            data_plane: &*self.data_plane,
            status: &*self.status,
            signatures: &self.signatures,
        };
        job.run(host, done);
    }
}
