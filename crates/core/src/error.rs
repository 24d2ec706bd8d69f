//! The one error of this crate: a closed kind with a stable code, and a message that names the object and the value.

use crate::os::{Shortage, shortage};
use std::{fmt, io};

/// What went wrong. Each kind has one stable code string, the same in Rust and TypeScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is outside its range.
    InvalidArgument,
    /// A name is empty, too long or has characters that are not allowed.
    InvalidName,
    /// An object exists with other options than the ones asked for.
    OptionsMismatch,
    /// This participant does not hold the buffer.
    NotHeld,
    /// The manager or queue has been closed.
    Closed,
    /// The queue has been destroyed.
    Destroyed,
    /// Time is over.
    Timeout,
    /// The pool has no buffer left and may not grow.
    Exhausted,
    /// The shared memory file system is full.
    NoSpace,
    /// The size is beyond what a domain can hold.
    TooLarge,
    /// The object belongs to somebody else or is open to others.
    Permission,
    /// The object was made by another layout version.
    Version,
    /// The object is shorter than it must be.
    Truncated,
    /// Shared memory holds a value that no correct participant writes.
    Corrupt,
    /// A table of fixed size is full.
    Limit,
    /// This platform or kernel lacks something that is needed.
    Unsupported,
    /// The queue admits one producer (or consumer), and another participant is it.
    Role,
    /// There is no such domain, or no such participant (any more).
    NotFound,
    /// A block of a scheduler failed, or its code panicked.
    BlockFailed,
    /// The blocks of a scheduler all wait for each other.
    Stalled,
    /// A system call failed.
    Io,
    /// A defect of this crate.
    Internal,
}

impl ErrorKind {
    /// Every kind, for generators and tests.
    pub const ALL: [Self; 22] = [
        Self::InvalidArgument,
        Self::InvalidName,
        Self::OptionsMismatch,
        Self::NotHeld,
        Self::Closed,
        Self::Destroyed,
        Self::Timeout,
        Self::Exhausted,
        Self::NoSpace,
        Self::TooLarge,
        Self::Permission,
        Self::Version,
        Self::Truncated,
        Self::Corrupt,
        Self::Limit,
        Self::Unsupported,
        Self::Role,
        Self::NotFound,
        Self::BlockFailed,
        Self::Stalled,
        Self::Io,
        Self::Internal,
    ];

    /// The stable code, e.g. `ERR_MILLRACE_CLOSED`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidArgument => "ERR_MILLRACE_INVALID_ARGUMENT",
            Self::InvalidName => "ERR_MILLRACE_INVALID_NAME",
            Self::OptionsMismatch => "ERR_MILLRACE_OPTIONS_MISMATCH",
            Self::NotHeld => "ERR_MILLRACE_NOT_HELD",
            Self::Closed => "ERR_MILLRACE_CLOSED",
            Self::Destroyed => "ERR_MILLRACE_DESTROYED",
            Self::Timeout => "ERR_MILLRACE_TIMEOUT",
            Self::Exhausted => "ERR_MILLRACE_EXHAUSTED",
            Self::NoSpace => "ERR_MILLRACE_NO_SPACE",
            Self::TooLarge => "ERR_MILLRACE_TOO_LARGE",
            Self::Permission => "ERR_MILLRACE_PERMISSION",
            Self::Version => "ERR_MILLRACE_VERSION",
            Self::Truncated => "ERR_MILLRACE_TRUNCATED",
            Self::Corrupt => "ERR_MILLRACE_CORRUPT",
            Self::Limit => "ERR_MILLRACE_LIMIT",
            Self::Unsupported => "ERR_MILLRACE_UNSUPPORTED",
            Self::Role => "ERR_MILLRACE_ROLE",
            Self::NotFound => "ERR_MILLRACE_NOT_FOUND",
            Self::BlockFailed => "ERR_MILLRACE_BLOCK_FAILED",
            Self::Stalled => "ERR_MILLRACE_STALLED",
            Self::Io => "ERR_MILLRACE_IO",
            Self::Internal => "ERR_MILLRACE_INTERNAL",
        }
    }
}

/// An error of this crate. One word, so that results are handed on in registers.
#[derive(Debug)]
pub struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    message: String,
    source: Option<io::Error>,
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn with_source(kind: ErrorKind, message: String, source: Option<io::Error>) -> Self {
        Self(Box::new(Details { kind, message, source }))
    }

    /// An error of `kind` with a complete message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::with_source(kind, message.into(), None)
    }

    /// An error of kind [`ErrorKind::InvalidArgument`].
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// A failed system call: `message` names the object, the cause is appended.
    pub fn io(message: impl fmt::Display, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let (kind, advice) = match (shortage(&source), source.kind()) {
            (Some(Shortage::Descriptors), _) => (
                ErrorKind::Limit,
                "; no file descriptor is left: raise the limit (`ulimit -n`), or close what is not needed",
            ),
            (Some(Shortage::Memory), _) => (
                ErrorKind::NoSpace,
                "; no memory is left: end other programs, or raise the limit of this one",
            ),
            (None, io::ErrorKind::PermissionDenied) => (ErrorKind::Permission, ""),
            (None, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => (ErrorKind::NoSpace, ""),
            (None, _) => (ErrorKind::Io, ""),
        };
        Self::with_source(kind, format!("{message}: {source}{advice}"), Some(source))
    }

    /// The same error, with what it is about in front.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// The same error, with what to do at the end.
    pub(crate) fn advising(mut self, advice: &str) -> Self {
        self.0.message = format!("{}: {advice}", self.0.message);
        self
    }

    /// Whether it is for want of shared memory, and not of memory (or address space) of this process.
    pub(crate) fn is_out_of_shared_memory(&self) -> bool {
        self.0.kind == ErrorKind::NoSpace
            && self.0.source.as_ref().and_then(shortage) != Some(Shortage::Memory)
    }

    /// Whether a file was missing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.0.source.as_ref().is_some_and(|e| e.kind() == io::ErrorKind::NotFound)
    }

    /// What went wrong, as a closed enum.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether what cannot be read for this reason cannot be read another time either: another version, damaged, gone, or somebody else's.
    pub(crate) fn is_unusable(&self) -> bool {
        use ErrorKind::{Corrupt, Permission, Truncated, Version};
        matches!(self.kind(), Version | Corrupt | Truncated | Permission)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct() {
        let mut codes: Vec<_> = ErrorKind::ALL.iter().map(|k| k.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
    }
}
