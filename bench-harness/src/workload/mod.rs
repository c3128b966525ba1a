//! What is sent: requests as data, reproducible from a seed.
//!
//! ```text
//!   workload file (built in, or yours) ──▶ kinds ──┐
//!   seed, worker ──────────────────────▶ draws ────┼──▶ bytes of one request, with its id in target or body
//!   recorded requests (replay:FILE) ───────────────┘
//! ```

mod body;
mod event;
mod kind;
mod mix;
mod replay;
mod template;

use std::path::{Path, PathBuf};

use crate::request::{RequestId, Shape};
use crate::target::Target;

use kind::KindFile;
use mix::Mix;
use replay::Replay;

/// A source of requests. One instance per generator thread; the same seed and worker give the same requests.
pub trait Workload: Send {
    /// The kinds of request it makes (`web`, `preflight`, …), by which results are split. At least one, at most 64.
    fn kinds(&self) -> &[String];

    /// Appends the whole next request, head and body, to `wire`. `id` stands in it where the auditor finds it.
    /// Allocates nothing once warm.
    fn next(&mut self, id: RequestId, wire: &mut Vec<u8>) -> Shape;
}

/// The built-in workloads, each a file in the same form as a user's.
const BUILT_IN: [(&str, &str); 3] = [
    ("single", include_str!("../../workloads/single.toml")),
    ("sdk-mix", include_str!("../../workloads/sdk-mix.toml")),
    ("pixel", include_str!("../../workloads/pixel.toml")),
];

/// Which workload, with which seed: what every worker makes its own [`Workload`] from.
#[derive(Clone, Debug)]
pub struct WorkloadSpec {
    /// `single`, `sdk-mix`, `pixel`, the path of a workload file, or `replay:` and the path of recorded requests.
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
        if let Some(path) = self.name.strip_prefix("replay:") {
            return Ok(Box::new(Replay::new(path, &read(path)?, target, self.seed, worker)?));
        }
        let built_in = BUILT_IN.iter().find(|(name, _)| *name == self.name);
        let file = match built_in {
            Some((name, text)) => KindFile::parse(name, text)?,
            None if Path::new(&self.name).extension().is_some_and(|extension| extension == "toml") => {
                KindFile::parse(&self.name, &read(&self.name)?)?
            }
            None => return Err(WorkloadError::Unknown(self.name.clone())),
        };
        Ok(Box::new(Mix::new(&file, target, self.seed, worker)))
    }
}

fn read(path: &str) -> Result<String, WorkloadError> {
    std::fs::read_to_string(path).map_err(|error| WorkloadError::Read { path: path.into(), error })
}

/// Why there is no such workload.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// Neither built in nor a file.
    #[error(
        "workload {0:?} is neither built in (single, sdk-mix, pixel) nor a file (NAME.toml, replay:FILE)"
    )]
    Unknown(String),
    /// A file that can't be read.
    #[error("{path}: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// The operating system's answer.
        error: std::io::Error,
    },
    /// A file that can't be understood.
    #[error("{file}: {problem}")]
    Form {
        /// Which.
        file: String,
        /// What is wrong, where, and what would be right.
        problem: String,
    },
}

#[cfg(test)]
mod tests;
