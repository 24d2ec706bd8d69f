//! Who is alive: a participant is as long as the exclusive lock on its lock file is held. The kernel drops the lock at the death of
//! the process, whatever its cause, and at no other time: pid reuse, pid namespaces, SIGSTOP and suspended machines do not matter.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_PARTICIPANTS;
use crate::os::{self, Process};
use crate::segment::{DomainDir, FileLock};
use std::time::Duration;

fn life_file(slot: usize) -> String {
    format!("life.{slot}")
}

/// Proof that a participant lives (held by itself) or is dead (taken by a recoverer). Released when dropped.
#[derive(Debug)]
pub(crate) struct LifeLock {
    _lock: FileLock,
}

impl LifeLock {
    /// Takes the lock of `slot` for its new tenant; `None` while somebody holds it.
    pub(crate) fn take(dir: &DomainDir, slot: usize) -> Result<Option<Self>> {
        Ok(dir.try_lock(&life_file(slot))?.map(|lock| Self { _lock: lock }))
    }

    /// Takes the lock of `slot` if its tenant is dead. A file that is not there proves nothing: its tenant lives.
    pub(crate) fn take_if_dead(dir: &DomainDir, slot: usize) -> Result<Option<Self>> {
        match dir.try_lock_existing(&life_file(slot)) {
            Err(e) if e.is_not_found() => Ok(None),
            lock => Ok(lock?.map(|lock| Self { _lock: lock })),
        }
    }
}

/// Whether the tenant of `slot` lives. A file that is not there proves nothing: it does.
///
/// Asked of a dead one, a recoverer that looks at the same moment takes it for alive, until its next look: seldom and harmless. An opener
/// asks in the same way, so who only looks never makes it attach to the dead.
pub(crate) fn is_alive(dir: &DomainDir, slot: usize) -> Result<bool> {
    match dir.is_locked(&life_file(slot)) {
        Err(e) if e.is_not_found() => Ok(true),
        locked => locked,
    }
}

/// Slots whose life lock somebody holds, whatever the registry says.
pub(crate) fn living_slots(dir: &DomainDir) -> impl Iterator<Item = Result<usize>> {
    (0..MAX_PARTICIPANTS).filter_map(|slot| {
        let lives = dir.id_of(&life_file(slot)).and_then(|id| Ok(id.is_some() && is_alive(dir, slot)?));
        lives.map(|lives| lives.then_some(slot)).transpose()
    })
}

/// Whether anybody holds a life lock in a domain's directory, whatever its registry says.
pub(crate) fn is_anybody_alive(dir: &DomainDir) -> Result<bool> {
    living_slots(dir).next().transpose().map(|slot| slot.is_some())
}

/// Who is in a domain, whatever its registry says, in words: process ids, as far as the system tells.
pub(crate) fn living_processes(dir: &DomainDir) -> Result<String> {
    let mut files = Vec::new();
    for slot in 0..MAX_PARTICIPANTS {
        files.extend(dir.id_of(&life_file(slot))?);
    }
    let pids: Vec<String> = os::lock_holders(&files).iter().map(u32::to_string).collect();
    Ok(match pids.len() {
        0 => "processes that cannot be told".to_owned(),
        1 => format!("process {}", pids[0]),
        _ => format!("processes {}", pids.join(", ")),
    })
}

/// The process behind a participant, for certain.
#[derive(Debug)]
pub(crate) struct Tenant(Process);

impl Tenant {
    /// The process that our pid namespace numbers `pid`, if it holds the life lock of `slot`. `None`: it does not, so the number is
    /// another namespace's, or out of date.
    ///
    /// # Errors
    /// `Permission` when we may not look; `Limit`, `Io`.
    pub(crate) fn find(dir: &DomainDir, slot: usize, pid: u32) -> Result<Option<Self>> {
        let Some(process) = Process::open(pid)? else { return Ok(None) };
        // Opened before the look and alive after it: the numbers meant this process all the time.
        let is_tenant =
            dir.is_lock_of(&process, &life_file(slot))? && !process.has_ended_within(Duration::ZERO);
        Ok(is_tenant.then_some(Self(process)))
    }

    /// Whether it is stopped: by a signal, a terminal, a debugger. Unknown counts as no.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.is_stopped()
    }

    /// Whether it holds the lock file `name` of the domain, as far as can be seen.
    pub(crate) fn holds_lock(&self, dir: &DomainDir, name: &str) -> bool {
        dir.is_lock_of(&self.0, name).unwrap_or(false)
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) -> Result<()> {
        self.0.kill()
    }

    /// Waits for its end; `false`: it still lives after `timeout`.
    pub(crate) fn has_ended_within(&self, timeout: Duration) -> bool {
        self.0.has_ended_within(timeout)
    }
}

/// The error for a participant whose process cannot be found by its number.
pub(crate) fn unknown_process(slot: usize, pid: u32) -> Error {
    Error::new(ErrorKind::Unsupported, format!("participant {slot} (process {pid}) {}", Process::UNKNOWN))
}
