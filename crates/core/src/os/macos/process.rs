//! Processes: what says that one has ended. None can be identified beyond doubt.

use crate::error::Result;
use crate::os::{Dir, FileId};
use rustix::event::kqueue::{Event, EventFilter, EventFlags, ProcessEvents, kevent_timespec, kqueue};
use rustix::process::Pid;
use rustix::time::Timespec;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// What becomes readable when process `pid` has ended: a kernel queue of its own, in which that is the only event there will be.
pub(crate) fn open_death(pid: Pid) -> Option<OwnedFd> {
    let queue = kqueue().ok()?;
    let filter = EventFilter::Proc { pid, flags: ProcessEvents::EXIT };
    let change = Event::new(filter, EventFlags::ADD | EventFlags::ONESHOT, std::ptr::null_mut());
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut none: [Event; 0] = [];
    // SAFETY: the event names no descriptor that could be closed, and carries no pointer.
    unsafe { kevent_timespec(&queue, &[change], &mut none, Some(&at_once)) }.ok()?;
    Some(queue)
}

/// Nobody: this system does not tell who holds a lock.
pub(crate) fn lock_holders(_files: &[FileId]) -> Vec<u32> {
    Vec::new()
}

/// A process beyond doubt: there is none of this type here, for want of pidfds.
#[derive(Debug)]
pub(crate) enum Process {}

impl Process {
    /// Why a process cannot be had by its number.
    pub(crate) const UNKNOWN: &str = "cannot be identified: this system has no pidfds";

    /// Always `None`.
    pub(crate) fn open(_pid: u32) -> Result<Option<Self>> {
        Ok(None)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        match *self {}
    }

    pub(crate) fn holds_lock(&self, _dir: &Dir, _name: &str) -> Result<bool> {
        match *self {}
    }

    pub(crate) fn kill(&self) -> Result<()> {
        match *self {}
    }

    pub(crate) fn has_ended_within(&self, _timeout: Duration) -> bool {
        match *self {}
    }
}
