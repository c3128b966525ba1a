//! What is sent: requests as data, reproducible from a seed.

mod single;

use crate::request::{RequestId, Shape};
use crate::target::Target;

/// A source of requests. One instance per generator thread; the same seed and worker give the same requests.
pub trait Workload: Send {
    /// The kinds of request it makes (`web`, `preflight`, …), by which results are split. At least one, at most 64.
    fn kinds(&self) -> &[String];

    /// Appends the whole next request, head and body, to `wire`. `id` stands in it where the auditor finds it.
    /// Allocates nothing once warm.
    fn next(&mut self, id: RequestId, wire: &mut Vec<u8>) -> Shape;
}

/// Which workload, with which seed: what every worker makes its own [`Workload`] from.
#[derive(Clone, Debug)]
pub struct WorkloadSpec {
    /// `single`, `sdk-mix`, `pixel`, or the path of a workload file or (with `replay`) of recorded requests.
    pub name: String,
    /// Same seed, same requests.
    pub seed: u64,
}

impl WorkloadSpec {
    /// A worker's own source of requests to `target` (its path and host are in every request).
    ///
    /// # Errors
    /// When a file can't be read or understood.
    pub fn open(&self, target: &Target, worker: u8) -> Result<Box<dyn Workload>, WorkloadError> {
        let _ = worker;
        match self.name.as_str() {
            "single" => Ok(Box::new(single::Single::new(target))),
            _ => Err(WorkloadError::Unknown(self.name.clone())),
        }
    }
}

/// Why there is no such workload.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// Neither built in nor a file.
    #[error("workload {0:?} is neither built in (single, sdk-mix, pixel) nor a file")]
    Unknown(String),
}
