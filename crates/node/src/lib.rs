//! Node-API binding of `millrace`: converts, calls, converts. No algorithm lives here.
//!
//! Slow operations are methods of [`manager::BindingManager`]; hot ones are the functions of [`hot`], which take no arguments and work
//! on the [`block`]. Every entry runs under [`error::guarded`].

mod array_buffer;
#[expect(missing_docs, reason = "the words are described where they are used, in a table")]
pub mod block;
pub mod copies;
mod error;
pub mod flow;
mod handles;
pub mod hot;
mod isolate;
mod leases;
pub mod manager;
pub mod observer;
mod options;
mod runs;
pub mod services;
mod session;
pub mod topics;
mod waits;

/// Milliseconds on the monotonic clock that all processes of the machine share, containers with a time of their own included.
#[napi_derive::napi]
pub fn clock_ms() -> f64 {
    millrace::clock_ms() as f64
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data with string keys always serializes")
}
