//! `check --connect` for a file sink: can its directory be made, written and fsynced, and how much room is left.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Options;
use super::sink::fault_of;
use crate::{CheckReport, Fate};

/// Makes the directory if it is missing, writes, fsyncs and removes a probe file in it, and reports the free space.
///
/// # Errors
/// The fault, with the path and the operating system's text in the log.
pub fn check(options: &Options) -> CheckReport {
    let dir = &options.dir;
    probe(dir).map_err(|error| {
        tracing::error!(dir = %dir.display(), %error, "the directory of the file sink can't be used");
        fault_of(&error, Fate::NotStored)
    })
}

fn probe(dir: &Path) -> io::Result<Vec<String>> {
    let existed = dir.is_dir();
    fs::create_dir_all(dir)?;
    let path = dir.join(format!(".probe-{}-{:08x}", std::process::id(), fastrand::u32(..)));
    let mut file = File::options().write(true).create_new(true).open(&path)?;
    let written = file.lock().and_then(|()| file.write_all(b"probe\n")).and_then(|()| file.sync_data());
    fs::remove_file(&path)?;
    written?;
    File::open(dir)?.sync_all()?;
    let shown = dir.display();
    Ok(vec![
        format!("{shown}: {}", if existed { "exists" } else { "made" }),
        format!("{shown}: a probe file was written, fsynced, locked and removed"),
        format!("{shown}: {} MiB free", free_bytes(dir)? / (1024 * 1024)),
    ])
}

/// Bytes that an unprivileged process may still write below `dir`.
fn free_bytes(dir: &Path) -> io::Result<u64> {
    let path = CString::new(dir.as_os_str().as_bytes())?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `path` is a NUL-terminated string and `stat` a writable statvfs; both outlive the call.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: statvfs answered 0, so it filled the struct; it was zeroed before, which is valid for its integers.
    let stat = unsafe { stat.assume_init() };
    #[allow(clippy::useless_conversion, reason = "the widths differ between platforms")]
    Ok(u64::from(stat.f_bavail) * u64::from(stat.f_frsize))
}
