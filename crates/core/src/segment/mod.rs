//! Named shared memory: create, open, reserve, remove. Where it belongs: the directory of a domain, and the lock beside it.

mod directory;
mod doorbells;
mod lock;
mod view;

pub(crate) use directory::{DomainDir, DoorbellKind, SegmentName};
pub(crate) use doorbells::Doorbells;
pub(crate) use lock::{DomainLock, FileLock, base_dir, domain_names};
pub(crate) use view::{Segment, View};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_NAME_BYTES;

/// Checks a domain or queue name: `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`.
pub(crate) fn validate_name(what: &str, name: &str) -> Result<()> {
    let first_ok = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest_ok = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if first_ok && rest_ok && name.len() <= MAX_NAME_BYTES {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidName,
        format!(
            "{what} name {name:?}: it needs 1 to {MAX_NAME_BYTES} characters out of A-Z a-z 0-9 . _ - and starts with a letter or digit"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "camera", "A.b_c-9", &"x".repeat(63)] {
            assert!(validate_name("domain", good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a/b", "../a", "a b", "é", "a\0b", &"x".repeat(64)] {
            assert_eq!(validate_name("domain", bad).unwrap_err().kind(), ErrorKind::InvalidName, "{bad:?}");
        }
    }
}
