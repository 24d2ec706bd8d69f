//! Who is alive: a participant is as long as the exclusive lock on its lock file is held. The kernel drops the lock at the death of
//! the process, whatever its cause, and at no other time: pid reuse, pid namespaces, SIGSTOP and suspended machines do not matter.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "generic.rs")]
mod imp;

pub(crate) use imp::DeathWatch;

use crate::error::{Error, Result};
use crate::segment::{DomainDir, open_lock_file};
use std::fs::{File, TryLockError};

/// Proof that participant `slot` lives (held by itself) or is dead (taken by a recoverer). Released when dropped.
#[derive(Debug)]
pub(crate) struct LifeLock {
    _file: File,
}

impl LifeLock {
    /// Takes the lock of `slot`; `None` while somebody holds it.
    pub(crate) fn try_take(dir: &DomainDir, slot: usize) -> Result<Option<Self>> {
        let path = dir.participant_file("life", slot);
        let failed = |e| Error::io(format!("cannot lock {}", path.display()), e);
        let file = open_lock_file(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }
}
