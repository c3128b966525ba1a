//! Which CPUs a thread or process may use.

use std::io;

/// A set of CPUs as the kernel takes it. Made before a fork, so that the child needs no memory for it.
#[derive(Clone, Copy)]
pub struct CpuSet(libc::cpu_set_t);

impl CpuSet {
    /// The set of these CPUs.
    ///
    /// # Errors
    /// When it is empty or a number is beyond what the kernel's set holds (1023).
    pub fn of(cpus: &[usize]) -> io::Result<Self> {
        // SAFETY: an all-zero cpu_set_t is the empty set.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        if cpus.is_empty() || cpus.iter().any(|&cpu| cpu >= CPUS_MAX) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for &cpu in cpus {
            // SAFETY: `cpu` is below the set's size.
            unsafe { libc::CPU_SET(cpu, &mut set) };
        }
        Ok(Self(set))
    }

    /// The CPUs that the calling thread may use now.
    pub fn allowed() -> io::Result<Vec<usize>> {
        // SAFETY: an all-zero cpu_set_t is the empty set.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes at most the set's size into it; 0 is this thread.
        let got = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
        if got < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: every number is below the set's size.
        Ok((0..CPUS_MAX).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect())
    }

    /// Confines the calling thread, and what it starts from now on, to this set. One system call, no memory: fit for
    /// between fork and exec.
    pub fn confine(&self) -> io::Result<()> {
        // SAFETY: the set lives through the call; 0 is this thread.
        let set = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const self.0) };
        if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

const CPUS_MAX: usize = libc::CPU_SETSIZE.cast_unsigned() as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_confined_to_what_it_is_told() {
        let allowed = CpuSet::allowed().unwrap();
        let last = *allowed.last().unwrap();
        std::thread::spawn(move || {
            CpuSet::of(&[last]).unwrap().confine().unwrap();
            assert_eq!(CpuSet::allowed().unwrap(), [last]);
        })
        .join()
        .unwrap();
        assert_eq!(CpuSet::allowed().unwrap(), allowed, "other threads are left alone");
    }

    #[test]
    fn no_cpus_and_impossible_cpus_are_refused() {
        assert!(CpuSet::of(&[]).is_err());
        assert!(CpuSet::of(&[CPUS_MAX]).is_err());
    }
}
