//! What work returns.

use std::time::Duration;

/// How [`Block::work`](crate::Block::work) ended. In the words of GNU Radio: `Ok` is OK, `NeedInput` INSUFFICIENT_INPUT_ITEMS, `NeedOutput`
/// INSUFFICIENT_OUTPUT_ITEMS, `Done` DONE, and an `Err` is ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It may be called again as soon as its ports allow it. If it took and sent nothing: as soon as an output has room of which it was told
    /// that it has none, or else as soon as an input changes.
    Ok,
    /// It cannot go on before input `input` has `min` messages, or has ended.
    NeedInput {
        /// Number of the input.
        input: usize,
        /// Messages it needs.
        min: usize,
    },
    /// It cannot go on before output `output` has room.
    NeedOutput {
        /// Number of the output.
        output: usize,
    },
    /// It cannot go on before a buffer of `bytes` bytes may be free.
    NeedMemory {
        /// Size of the buffer.
        bytes: usize,
    },
    /// It is to be called at `at`, a time as [`Io::now`](crate::Io::now) tells it, or as soon as an input changes.
    WaitUntil {
        /// Time since the start of the scheduler.
        at: Duration,
    },
    /// It has ended: it takes and sends nothing more.
    Done,
}
