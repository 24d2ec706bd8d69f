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

/// Whether somebody has the lock on `file`. Who asks at the same time does not count.
pub(crate) fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_not_taken_for_a_holder() {
        let path = std::env::temp_dir().join(format!("millrace-lock-{}", std::process::id()));
        let open =
            || File::options().create(true).truncate(false).read(true).write(true).open(&path).unwrap();
        let (one, other) = (open(), open());
        one.try_lock_shared().unwrap();
        assert!(!is_locked(&other).unwrap());
        one.unlock().unwrap();
        assert!(try_lock(&one).unwrap());
        assert!(is_locked(&other).unwrap());
        unlock(&one).unwrap();
        assert!(!is_locked(&other).unwrap());
        assert!(try_lock(&one).unwrap(), "asking keeps nothing");
        std::fs::remove_file(&path).unwrap();
    }
}
