//! Locks of files.

use std::fs::{File, TryLockError};
use std::io::{self, Write};

/// Locks `file`; `false`: somebody has it. The system drops the lock when the process ends.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// Gives the lock on `file` up.
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    file.unlock()
}

/// Writes into `file`, whose lock we have, who has it, for people. Best effort.
pub(crate) fn record_holder(file: &mut File) {
    let pid = std::process::id().to_string();
    let _ = file.write_all(pid.as_bytes()).and_then(|()| file.set_len(pid.len() as u64));
}
