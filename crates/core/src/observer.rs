//! Observer: looks at a domain without taking part in it. For tools, and for whoever wants to look from another thread.

use crate::error::{Error, ErrorKind, Result};
use crate::recovery::{Finding, RecoveryReport, StallReport, assist, evict, fsck, stalled};
use crate::registry::Domain;
use crate::segment::{DomainDir, SegmentName, base_dir, validate_name};
use crate::stats::{Snapshot, snapshot};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A domain seen from outside: takes no slot, holds nothing, and leaves the domain as it is when it goes, also if nobody else is left.
/// It has one descriptor, and mappings; both go when it and its clones are dropped.
#[derive(Clone, Debug)]
pub struct Observer {
    domain: Arc<Domain>,
}

impl Observer {
    pub(crate) fn new(domain: Arc<Domain>) -> Self {
        Self { domain }
    }

    /// Opens domain `name`, which must exist. `directory`: that of all domains, as in [`OpenOptions`](crate::OpenOptions::directory).
    ///
    /// # Errors
    /// `InvalidName`; `NotFound` when there is no such domain; `Permission`, `Version`, `Truncated`, `Corrupt`, `Io`.
    pub fn open(name: &str, directory: Option<&Path>) -> Result<Self> {
        validate_name("domain", name)?;
        let base = base_dir(directory);
        let not_found =
            || Error::new(ErrorKind::NotFound, format!("there is no domain {name:?} in {}", base.display()));
        let dir = match DomainDir::existing(&base, name) {
            Err(e) if e.is_not_found() => return Err(not_found()),
            dir => dir?,
        };
        if !dir.has_segment(SegmentName::Registry)? {
            return Err(not_found());
        }
        match Domain::open(name, dir, assist) {
            // Its last participant is just leaving: the link goes before the memory does.
            Err(_) if !is_there(&base, name) => Err(not_found()),
            domain => Ok(Self::new(Arc::new(domain?))),
        }
    }

    /// Another one of the same domain, with mappings of its own.
    pub(crate) fn separate(&self) -> Result<Self> {
        let dir = self.domain.dir.try_clone()?;
        Ok(Self::new(Arc::new(Domain::open(&self.domain.name, dir, assist)?)))
    }

    /// Name of the domain.
    pub fn domain(&self) -> &str {
        &self.domain.name
    }

    /// The domain as plain data.
    ///
    /// # Errors
    /// When a segment cannot be attached.
    pub fn snapshot(&self) -> Result<Snapshot> {
        snapshot(&self.domain)
    }

    /// Compares every record of the domain with every other, while everybody is outside for a moment. Empty: all is well. The dead are
    /// recovered first, as any participant would do it.
    ///
    /// # Errors
    /// `Timeout` when the others cannot be stopped in time, because one of them is stopped inside an operation.
    pub fn fsck(&self, timeout: Duration) -> Result<Vec<Finding>> {
        fsck(&self.domain, timeout)
    }

    /// The participants that are stalled: stopped by a signal, a debugger, a container that is paused. They live, and go on one day.
    pub fn stalled(&self) -> Vec<StallReport> {
        stalled(&self.domain)
    }

    /// Kills (`kill -9`) the process of the tenant `epoch` of `slot`, waits for its end and for the recovery of what it held. The process
    /// is identified beyond doubt before: by a pidfd, and by the life lock it holds.
    ///
    /// # Errors
    /// `NotFound` when that participant has left or died already; `InvalidArgument` when it is of this very process; `Unsupported` when
    /// its process cannot be identified from here (another pid namespace, no pidfds); `Permission` when we may not kill it; `Timeout`
    /// when it has not ended, or has not been recovered, in time.
    pub fn evict(&self, slot: usize, epoch: u32, timeout: Duration) -> Result<RecoveryReport> {
        evict(&self.domain, slot, epoch, timeout)
    }
}

fn is_there(base: &Path, name: &str) -> bool {
    DomainDir::existing(base, name).and_then(|dir| dir.has_segment(SegmentName::Registry)).unwrap_or(false)
}
