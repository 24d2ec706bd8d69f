//! Who is alive: a participant is as long as the exclusive lock on its lock file is held. The kernel drops the lock at the death of
//! the process, whatever its cause, and at no other time: pid reuse, pid namespaces, SIGSTOP and suspended machines do not matter.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "generic.rs")]
mod imp;
#[cfg_attr(target_os = "linux", path = "tenant_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "tenant_generic.rs")]
mod tenant;

pub(crate) use imp::DeathWatch;
pub(crate) use tenant::{Tenant, unknown_process};

use crate::error::{Error, Result};
use crate::segment::DomainDir;
use std::fs::{File, TryLockError};

/// Proof that participant `slot` lives (held by itself) or is dead (taken by a recoverer). Released when dropped.
#[derive(Debug)]
pub(crate) struct LifeLock {
    _file: File,
}

impl LifeLock {
    /// Takes the lock of `slot` for its new tenant; `None` while somebody holds it.
    pub(crate) fn take(dir: &DomainDir, slot: usize) -> Result<Option<Self>> {
        Self::lock(dir.lock_file(&format!("life.{slot}"), true)?, slot)
    }

    /// Takes the lock of `slot` if its tenant is dead. A file that is not there proves nothing: its tenant lives.
    pub(crate) fn take_if_dead(dir: &DomainDir, slot: usize) -> Result<Option<Self>> {
        match dir.lock_file(&format!("life.{slot}"), false) {
            Err(e) if e.is_not_found() => Ok(None),
            file => Self::lock(file?, slot),
        }
    }

    fn lock(file: File, slot: usize) -> Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(Error::io(format!("cannot lock life.{slot}"), e)),
        }
    }
}
