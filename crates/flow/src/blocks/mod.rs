//! Blocks that come with this crate.

mod bytes;
mod catalog;
mod copy;
pub mod file;
mod gain;
mod join;
mod limit;
mod merge;
mod null;
mod settings;
mod split;
mod verify;

pub use catalog::{Described, Entry, catalog, find, page};
pub use copy::Copy;
pub use file::{FileSink, FileSource};
pub use gain::{Gain, SampleFormat};
pub use join::{Full, Join, JoinOptions, JoinPolicy, Leftovers};
pub use limit::{Head, Throttle};
pub use merge::Merge;
pub use null::{NullSink, NullSource};
pub use settings::{Fallback, Kind, Setting, Settings, Value};
pub use split::{Split, SplitBy};
pub use verify::{StreamCounts, VerifyResults, VerifySink, VerifySource};
