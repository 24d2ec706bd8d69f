//! Doorbells: FIFOs in the domain directory. Opened O_RDWR | O_NONBLOCK by the owner and by ringers alike, so neither end ever
//! sees a hang-up, nobody needs a descriptor passed, and a death on either side changes nothing.

use crate::error::{Error, Result};
use rustix::fs::{FileType, Mode, OFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The far end of somebody's doorbell, opened at the first ring and kept: the FIFO of a slot stays the same file as long as the
/// domain lives.
#[derive(Debug)]
pub(crate) struct Doorbell {
    path: PathBuf,
    fd: OnceLock<OwnedFd>,
}

impl Doorbell {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, fd: OnceLock::new() }
    }

    /// Puts a byte into the FIFO. `false`: it could not be opened (no descriptors left); the next ring tries again, and the sleeper's
    /// own sentinel looks after it now and then.
    pub(crate) fn ring(&self) -> bool {
        if self.fd.get().is_none() {
            let Ok(fd) = open_fifo(&self.path) else { return false };
            let _ = self.fd.set(fd);
        }
        self.fd.get().map(ring_fifo).is_some()
    }
}

/// Puts a byte into the FIFO behind `fd`. A full FIFO is readable already, so there is nothing to add.
pub(crate) fn ring_fifo(fd: impl AsFd) {
    let _ = rustix::io::write(fd, &[1]);
}

/// Opens the FIFO at `path`, making it (0600) if need be.
pub(crate) fn open_fifo(path: &Path) -> Result<OwnedFd> {
    let failed = |e: rustix::io::Errno| Error::io(format!("cannot open doorbell {}", path.display()), e);
    match make_fifo(path) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(e) => return Err(failed(e)),
    }
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    let stat = rustix::fs::fstat(&fd).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
        return Err(failed(rustix::io::Errno::INVAL));
    }
    Ok(fd)
}

#[cfg(not(target_vendor = "apple"))]
fn make_fifo(path: &Path) -> rustix::io::Result<()> {
    rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
}

/// rustix has no mkfifo for Apple systems, whose mknod makes no FIFOs for ordinary users.
#[cfg(target_vendor = "apple")]
fn make_fifo(path: &Path) -> rustix::io::Result<()> {
    unsafe extern "C" {
        fn mkfifo(path: *const std::ffi::c_char, mode: u16) -> std::ffi::c_int;
    }
    let path = std::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
        .map_err(|_| rustix::io::Errno::INVAL)?;
    // SAFETY: a terminated path that lives through the call.
    if unsafe { mkfifo(path.as_ptr(), 0o600) } == 0 {
        return Ok(());
    }
    let code = std::io::Error::last_os_error().raw_os_error().unwrap_or_default();
    Err(rustix::io::Errno::from_raw_os_error(code))
}
