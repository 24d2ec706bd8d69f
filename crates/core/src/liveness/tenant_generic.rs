//! Where there are no pidfds nobody can be sure whom a pid names: no tenant is ever found.

use crate::error::{Error, ErrorKind, Result};
use crate::segment::DomainDir;
use std::time::Duration;

/// The process behind a participant: there is none of this type here.
#[derive(Debug)]
pub(crate) enum Tenant {}

impl Tenant {
    /// Always `None`.
    pub(crate) fn find(_dir: &DomainDir, _slot: usize, _pid: u32) -> Result<Option<Self>> {
        Ok(None)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        match *self {}
    }

    pub(crate) fn holds_lock(&self, _dir: &DomainDir, _name: &str) -> bool {
        match *self {}
    }

    pub(crate) fn kill(&self) -> Result<()> {
        match *self {}
    }

    pub(crate) fn has_ended_within(&self, _timeout: Duration) -> bool {
        match *self {}
    }
}

/// The error for a participant whose process cannot be found by its number.
pub(crate) fn unknown_process(slot: usize, pid: u32) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("participant {slot} (process {pid}) cannot be reached: this platform has no pidfds"),
    )
}
