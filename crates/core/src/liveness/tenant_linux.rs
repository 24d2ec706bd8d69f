//! A process that certainly is the tenant of a slot, and what can be done with one: a descriptor that no recycled pid can deceive.

use crate::error::{Error, ErrorKind, Result};
use crate::segment::DomainDir;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::Timespec;
use std::fs;
use std::io::ErrorKind as IoKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The process behind a participant.
#[derive(Debug)]
pub(crate) struct Tenant {
    /// Its number in `/proc`, which may be that of another pid namespace than ours.
    proc_pid: String,
    pidfd: OwnedFd,
}

impl Tenant {
    /// The process that our pid namespace numbers `pid`, if it holds the life lock of `slot`. `None`: it does not, so the number is
    /// another namespace's, or out of date.
    ///
    /// # Errors
    /// `Permission` when we may not look.
    pub(crate) fn find(dir: &DomainDir, slot: usize, pid: u32) -> Result<Option<Self>> {
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            // No such process, or the number of a mere thread.
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
            Err(e) => return Err(Error::io(format!("cannot open process {pid}"), e)),
        };
        let Some(proc_pid) = proc_pid(&pidfd) else { return Ok(None) };
        let tenant = Self { proc_pid, pidfd };
        let holds = holds_lock(&tenant.proc_pid, &dir.participant_file("life", slot))
            .map_err(|e| Error::io(format!("cannot look at the descriptors of process {pid}"), e))?;
        // Opened before the look and alive after it: the numbers meant this process all the time.
        Ok((holds && !tenant.has_ended_within(Duration::ZERO)).then_some(tenant))
    }

    /// Whether the kernel has stopped it: SIGSTOP, a terminal, a debugger. Unknown counts as no.
    pub(crate) fn is_stopped(&self) -> bool {
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.proc_pid)) else { return false };
        // "pid (name) state …", and a name may contain anything.
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        matches!(state, Some('T' | 't')) && !self.has_ended_within(Duration::ZERO)
    }

    /// Whether it holds the lock file `name` of the domain.
    pub(crate) fn holds_lock(&self, dir: &DomainDir, name: &str) -> bool {
        holds_lock(&self.proc_pid, &dir.path().join(name)).unwrap_or(false)
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) -> Result<()> {
        match pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(e) => Err(Error::io(format!("cannot kill process {}", self.proc_pid), e)),
        }
    }

    /// Waits for its end; `false`: it still lives after `timeout`.
    pub(crate) fn has_ended_within(&self, timeout: Duration) -> bool {
        let deadline = crate::wait::deadline(timeout);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&left)) {
                Err(rustix::io::Errno::INTR) => {}
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

/// Whether one of the descriptors of process `pid` holds a lock on `file`.
fn holds_lock(pid: &str, file: &Path) -> std::io::Result<bool> {
    let wanted = match fs::metadata(file) {
        Err(e) if e.kind() == IoKind::NotFound => return Ok(false),
        meta => meta?,
    };
    let descriptors = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Err(e) if e.kind() == IoKind::NotFound => return Ok(false),
        entries => entries?,
    };
    for descriptor in descriptors {
        // Both may be gone again at any time: then it is not the one.
        let Ok(descriptor) = descriptor else { return Ok(false) };
        let same = fs::metadata(descriptor.path())
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == (wanted.dev(), wanted.ino()));
        if !same {
            continue;
        }
        let info = Path::new("/proc").join(pid).join("fdinfo").join(descriptor.file_name());
        let info = fs::read_to_string(info).unwrap_or_default();
        if info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK")) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The error for a participant whose process cannot be found by its number.
pub(crate) fn unknown_process(slot: usize, pid: u32) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "participant {slot} is process {pid} in a pid namespace of its own: here that number is not its, so it cannot be \
             reached from here"
        ),
    )
}
