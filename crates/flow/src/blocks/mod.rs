//! Blocks that come with this crate.

mod null;

pub use null::{NullSink, NullSource};
