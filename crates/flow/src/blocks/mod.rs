//! Blocks that come with this crate.

mod catalog;
mod null;
mod settings;

pub use catalog::{Described, Entry, catalog, find, page};
pub use null::{NullSink, NullSource};
pub use settings::{Fallback, Kind, Setting, Settings, Value};
