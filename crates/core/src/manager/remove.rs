//! Removing a domain that nobody is in, without opening it.

use super::open::{is_kept, look_after_leavers};
use crate::error::{Error, ErrorKind, Result};
use crate::liveness::{is_anybody_alive, living_processes};
use crate::os::deadline;
use crate::recovery::assist;
use crate::registry::Domain;
use crate::segment::{DomainDir, DomainLock, base_dir, validate_name};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// How [`remove_domain`] ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Removal {
    /// It is gone.
    Removed {
        /// Bytes of memory that it took; `None` where the system does not say.
        #[serde(rename = "memoryBytes")]
        memory_bytes: Option<u64>,
    },
    /// Somebody is in it.
    InUse {
        /// Who that is, in words.
        by: String,
    },
    /// It persists or has work queues, or cannot be read, so that nobody knows.
    Kept,
}

/// Removes domain `name`, with all that is in it, unless somebody alive takes part in it. One that persists, has work queues or cannot be
/// read is removed only with `kept`. `directory`: that of all domains, as in [`OpenOptions`](crate::OpenOptions::directory).
///
/// # Errors
/// `InvalidName`; `NotFound` when there is no such domain; `Timeout` when somebody is opening or closing it and does not proceed;
/// `Permission`, `Io`, `Limit`.
pub fn remove_domain(name: &str, directory: Option<&Path>, kept: bool, timeout: Duration) -> Result<Removal> {
    validate_name("domain", name)?;
    let base = base_dir(directory);
    let find = || match DomainDir::existing(&base, name) {
        Err(e) if e.is_not_found() => {
            Err(Error::new(ErrorKind::NotFound, format!("there is no domain {name:?} in {}", base.display())))
        }
        dir => dir,
    };
    // First: taking the lock makes its file where there is none, and while we have it leavers leave the removal to us.
    if let Some(used) = use_of(&find()?)? {
        return Ok(used);
    }
    let lock = DomainLock::take(&base, name, deadline(timeout))?;
    let removal = find().and_then(|dir| remove_locked(&lock, dir, name, kept));
    lock.release();
    if matches!(removal, Ok(Removal::InUse { .. })) {
        look_after_leavers(&base, name);
    }
    removal
}

fn use_of(dir: &DomainDir) -> Result<Option<Removal>> {
    Ok(if is_anybody_alive(dir)? { Some(Removal::InUse { by: living_processes(dir)? }) } else { None })
}

fn remove_locked(lock: &DomainLock, dir: DomainDir, name: &str, kept: bool) -> Result<Removal> {
    if let Some(used) = use_of(&dir)? {
        return Ok(used);
    }
    if !kept {
        match Domain::open(name, dir.try_clone()?, assist) {
            Ok(domain) if !is_kept(&domain) => {}
            Err(e) if !e.is_unusable() => return Err(e),
            _ => return Ok(Removal::Kept),
        }
    }
    let memory_bytes = dir.memory_bytes();
    lock.remove_domain(&dir)?;
    Ok(Removal::Removed { memory_bytes })
}
