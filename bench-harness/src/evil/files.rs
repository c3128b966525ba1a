//! How many descriptors this process may have open: raised as far as allowed, or a clear word why it is not enough.

use std::io;

/// What the process needs besides its connections: the runtime, standard streams, `/proc`.
const SPARE: u64 = 64;

/// Why so many connections can't be had.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The hard limit is below what is needed.
    #[error(
        "{needed} open files are needed, but the hard limit of this process is {hard}: run `ulimit -Hn {needed}` as root before, or lower --attackers"
    )]
    TooFew {
        /// What is needed.
        needed: u64,
        /// What is allowed.
        hard: u64,
    },
    /// The limit can't be read or set.
    #[error("limit of open files (RLIMIT_NOFILE): {0}")]
    System(#[from] io::Error),
}

/// Makes sure that `connections` can be open at once: raises the soft limit if need be.
///
/// # Errors
/// When the hard limit is too low.
pub(super) fn allow(connections: u64) -> Result<(), FilesError> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } < 0 {
        return Err(io::Error::last_os_error().into());
    }
    let Some(soft) = raised(limit.rlim_cur, limit.rlim_max, connections + SPARE)? else { return Ok(()) };
    limit.rlim_cur = soft;
    // SAFETY: the kernel reads one rlimit.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } < 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(())
}

/// The soft limit to set, `None` when it is high enough.
fn raised(soft: u64, hard: u64, needed: u64) -> Result<Option<u64>, FilesError> {
    if needed <= soft {
        return Ok(None);
    }
    if needed <= hard { Ok(Some(needed)) } else { Err(FilesError::TooFew { needed, hard }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_only_when_needed_and_allowed() {
        assert_eq!(raised(1024, 4096, 1024).unwrap(), None);
        assert_eq!(raised(1024, 4096, 1025).unwrap(), Some(1025));
        let error = raised(1024, 4096, 4097).unwrap_err().to_string();
        assert!(error.contains("4097") && error.contains("4096") && error.contains("--attackers"), "{error}");
    }

    #[test]
    fn a_few_connections_are_always_allowed() {
        allow(8).unwrap();
    }
}
