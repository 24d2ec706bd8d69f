//! Blocks that come with this crate.

mod bytes;
mod catalog;
mod null;
mod settings;
mod verify;

pub use catalog::{Described, Entry, catalog, find, page};
pub use null::{NullSink, NullSource};
pub use settings::{Fallback, Kind, Setting, Settings, Value};
pub use verify::{StreamCounts, VerifyResults, VerifySink, VerifySource};
