//! Processes: a descriptor that no recycled pid can deceive, and what `/proc` says.

use crate::error::{Error, Result};
use crate::os::unix::timespec;
use crate::os::{Dir, FileId};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::makedev;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;
use std::io::ErrorKind as IoKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A process, whatever becomes of its number.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its number in `/proc`, which may be that of another pid namespace than ours.
    proc_pid: String,
    pidfd: OwnedFd,
}

impl Process {
    /// Why a process cannot be had by its number, if [`Process::open`] finds another one than was meant.
    pub(crate) const UNKNOWN: &str = "cannot be identified from here: it is in a pid namespace of its own, where its number is another one";

    /// The process that our pid namespace numbers `pid`; `None`: there is none, or `/proc` does not show it.
    ///
    /// # Errors
    /// `Limit` when no descriptor is left; `Io`.
    pub(crate) fn open(pid: u32) -> Result<Option<Self>> {
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            // No such process, or the number of a mere thread.
            Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
            Err(e) => return Err(Error::io(format!("cannot open process {pid}"), e)),
        };
        Ok(proc_pid(&pidfd).map(|proc_pid| Self { proc_pid, pidfd }))
    }

    /// Whether the kernel has stopped it: SIGSTOP, a terminal, a debugger. Unknown counts as no.
    pub(crate) fn is_stopped(&self) -> bool {
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.proc_pid)) else { return false };
        // "pid (name) state …", and a name may contain anything.
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        matches!(state, Some('T' | 't')) && !self.has_ended_within(Duration::ZERO)
    }

    /// Whether one of its descriptors holds the lock on file `name` of `dir`. It may have ended since.
    ///
    /// # Errors
    /// `Permission` when we may not look.
    pub(crate) fn holds_lock(&self, dir: &Dir, name: &str) -> Result<bool> {
        let Some(file) = dir.id_of(name)? else { return Ok(false) };
        let failed = |e| Error::io(format!("cannot look at the descriptors of process {}", self.proc_pid), e);
        let descriptors = match fs::read_dir(format!("/proc/{}/fd", self.proc_pid)) {
            Err(e) if e.kind() == IoKind::NotFound => return Ok(false),
            entries => entries.map_err(failed)?,
        };
        for descriptor in descriptors {
            // Both may be gone again at any time: then it is not the one.
            let Ok(descriptor) = descriptor else { return Ok(false) };
            let same = fs::metadata(descriptor.path())
                .is_ok_and(|meta| (meta.dev(), meta.ino()) == (file.device, file.inode));
            if !same {
                continue;
            }
            let info = Path::new("/proc").join(&self.proc_pid).join("fdinfo").join(descriptor.file_name());
            let info = fs::read_to_string(info).unwrap_or_default();
            if info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK")) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// `Permission`, `Io`.
    pub(crate) fn kill(&self) -> Result<()> {
        match pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(e) => Err(Error::io(format!("cannot kill process {}", self.proc_pid), e)),
        }
    }

    /// Waits for its end; `false`: it still lives after `timeout`.
    pub(crate) fn has_ended_within(&self, timeout: Duration) -> bool {
        let deadline = crate::os::deadline(timeout);
        loop {
            let left = timespec(deadline.saturating_duration_since(Instant::now()));
            match poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&left)) {
                Err(Errno::INTR) => {}
                ready => return ready.is_ok_and(|count| count > 0),
            }
        }
    }
}

/// The number that the `/proc` we see has for the process behind `pidfd`.
fn proc_pid(pidfd: &OwnedFd) -> Option<String> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim();
    // 0: not to be seen there; -1: it has ended.
    pid.parse::<u32>().is_ok_and(|pid| pid > 0).then(|| pid.to_owned())
}

/// What becomes readable when process `pid` has ended.
pub(crate) fn open_death(pid: Pid) -> Option<OwnedFd> {
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Pids of the processes that hold locks of `files`, as our pid namespace numbers them.
pub(crate) fn lock_holders(files: &[FileId]) -> Vec<u32> {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut pids: Vec<u32> = locks.lines().filter_map(|line| holder(line, files)).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Who holds the lock that `line` of `/proc/locks` is about, if it is one of `files`:
/// `1: FLOCK  ADVISORY  WRITE 1234 fe:00:56789 0 EOF`, with the device's numbers in hexadecimal. Waiters have `->` after the number.
fn holder(line: &str, files: &[FileId]) -> Option<u32> {
    let mut words = line.split_ascii_whitespace().skip(1);
    if words.next()? != "FLOCK" {
        return None;
    }
    // 0: of another pid namespace.
    let pid = words.nth(2)?.parse().ok().filter(|pid| *pid != 0)?;
    let mut numbers = words.next()?.split(':');
    let major = u32::from_str_radix(numbers.next()?, 16).ok()?;
    let minor = u32::from_str_radix(numbers.next()?, 16).ok()?;
    let file = FileId { device: makedev(major, minor), inode: numbers.next()?.parse().ok()? };
    files.contains(&file).then_some(pid)
}
