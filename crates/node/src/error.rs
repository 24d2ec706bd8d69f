//! Errors of the core as JavaScript errors with a `code`.

use crate::block::Status;
use millrace::ErrorKind;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// Result of a binding method: the error's status string becomes `error.code`.
pub(crate) type Result<T> = std::result::Result<T, napi::Error<&'static str>>;

/// A core error, with its code.
pub(crate) fn from_core(error: millrace::Error) -> napi::Error<&'static str> {
    napi::Error::new(error.kind().code(), error.to_string())
}

/// The manager has been closed.
pub(crate) fn closed() -> napi::Error<&'static str> {
    napi::Error::new(ErrorKind::Closed.code(), "the manager has been closed")
}

/// A Node-API call failed.
pub(crate) fn from_napi(error: &napi::Error) -> napi::Error<&'static str> {
    napi::Error::new(ErrorKind::Unsupported.code(), format!("Node-API: {error}"))
}

/// Why a hot operation did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What one status says.
    Status(Status),
    /// What takes a message.
    Error(millrace::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<millrace::Error> for Failure {
    fn from(error: millrace::Error) -> Self {
        match error.kind() {
            ErrorKind::NotHeld => Self::Status(Status::NotHeld),
            ErrorKind::TooLarge => Self::Status(Status::TooLarge),
            _ => Self::Error(error),
        }
    }
}

/// What there is behind a handle, if anything is.
pub(crate) fn existing<T>(found: std::result::Result<T, Failure>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Failure::Status(_)) => Ok(None),
        Err(Failure::Error(error)) => Err(from_core(error)),
    }
}

/// Panics of this addon in this process, on whichever thread.
static PANICS: AtomicU32 = AtomicU32::new(0);

/// Counts panics from now on. They are reported on standard error as before.
pub(crate) fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            report(panic);
        }));
    });
}

/// How many panics there were.
pub(crate) fn panics() -> u32 {
    PANICS.load(Ordering::Relaxed)
}

/// Runs `f`. A panic must not unwind into the runtime: it becomes an error that asks for a report.
pub(crate) fn guarded<T>(f: impl FnOnce() -> T) -> millrace::Result<T> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| defect(&*panic))
}

#[cold]
fn defect(panic: &(dyn Any + Send)) -> millrace::Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = format!(
        "a defect of millrace: {}; please report it with this message and what is on standard error",
        text.unwrap_or("a panic without message")
    );
    millrace::Error::new(ErrorKind::Internal, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_counted_and_becomes_an_error_that_asks_for_a_report() {
        count_panics();
        count_panics();
        let before = panics();
        for number in [1, 2] {
            let error = guarded(|| -> () { panic!("number {number}") }).unwrap_err();
            assert_eq!(error.kind().code(), "ERR_MILLRACE_INTERNAL");
            assert!(error.to_string().contains(&format!("number {number}; please report")), "{error}");
        }
        assert_eq!(panics() - before, 2);
    }
}
