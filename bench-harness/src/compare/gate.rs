//! Holds a child between fork and exec until its parent has looked at it.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};

/// The child's side: says its pid, then waits.
pub(super) struct Gate {
    say: PipeWriter,
    wait: PipeReader,
    /// The parent's ends as the child has them after a fork. The child must not keep its own gate from closing.
    parents: [i32; 2],
}

/// The parent's side.
pub(super) struct Keeper {
    /// Four bytes come: the child's pid, native order.
    pub(super) said: PipeReader,
    /// One byte lets the child go on; so does closing it.
    pub(super) go: PipeWriter,
}

pub(super) fn new() -> io::Result<(Gate, Keeper)> {
    use std::os::fd::AsRawFd as _;
    let (said, say) = io::pipe()?;
    let (wait, go) = io::pipe()?;
    let parents = [said.as_raw_fd(), go.as_raw_fd()];
    Ok((Gate { say, wait, parents }, Keeper { said, go }))
}

impl Gate {
    /// Called in the child; only system calls.
    pub(super) fn pass(&mut self) -> io::Result<()> {
        for end in self.parents {
            // SAFETY: in the child these are copies of the parent's descriptors that nothing here uses; closing them
            // leaves the parent's own open.
            unsafe { libc::close(end) };
        }
        // SAFETY: no pointers.
        let pid = unsafe { libc::getpid() };
        self.say.write_all(&pid.to_ne_bytes())?;
        // The parent's going away is a go, too: it is then the death signal's business.
        let _go = self.wait.read(&mut [0])?;
        Ok(())
    }
}
