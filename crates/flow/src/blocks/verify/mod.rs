//! Test messages: a source that numbers and seals them, and a sink that tells what became of them.

mod content;
mod sink;
mod source;
mod stream;

pub use sink::{VerifyResults, VerifySink};
pub use source::VerifySource;
pub use stream::StreamCounts;
