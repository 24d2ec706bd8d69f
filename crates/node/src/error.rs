//! Errors of the core as JavaScript errors with a `code`.

use millrace::ErrorKind;

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
