//! Bytes from files, and to files.
//!
//! Both read and write in [`Block::work`], straight from and to the memory of the messages. That waits for the device, and so does the thread of
//! the scheduler. A file on a local disk is read ahead and written behind by the system, so this takes microseconds, less than handing each
//! piece to another thread would; a pipe, a terminal or a file on the network may take any time: run such a block on a thread of its own,
//! by [`Policy::ThreadPerBlock`](crate::Policy::ThreadPerBlock), or by [`Policy::Pinned`](crate::Policy::Pinned) and a
//! [thread](crate::BlockOptions::thread) that no other block has.

use super::bytes::bytes;
use super::null::{SIZE, size};
use super::{Described, Fallback, Kind, Setting, Settings};
use crate::block::Block;
use crate::io::Io;
use crate::ports::Ports;
use crate::work::Work;
use millrace::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind as Cause, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes that one call of work reads or writes, about: a few hundred microseconds of copying.
const CALL_BYTES: usize = 1 << 20;

const PATH: Setting = Setting {
    name: "path",
    kind: Kind::Text,
    unit: "",
    default: Fallback::Required,
    about: "Path of the file.",
};

fn error(what: &str, path: &Path, cause: std::io::Error) -> Error {
    Error::io(format!("cannot {what} {}", path.display()), cause)
}

/// The open file of a block that has been started.
fn opened(file: &mut Option<File>) -> Result<&mut File> {
    file.as_mut().ok_or_else(|| Error::new(ErrorKind::Internal, "a file block works before its start"))
}

/// Sends the bytes of a file in messages of one size, the last of which may be shorter, numbered from 0; then it ends. See the module on slow
/// devices. Output: `out`.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    bytes: usize,
    file: Option<File>,
    sequence: u64,
    /// Bytes that were sent.
    position: u64,
}

impl FileSource {
    /// The file at `path`, in messages of `bytes` bytes. It is opened when the block is started.
    ///
    /// # Errors
    /// `InvalidArgument` when `bytes` is 0.
    pub fn new(path: impl Into<PathBuf>, bytes: usize) -> Result<Self> {
        if bytes == 0 {
            let message = "setting size of FileSource is 0, must be a whole number from 1";
            return Err(Error::invalid_argument(message));
        }
        Ok(Self { path: path.into(), bytes, file: None, sequence: 0, position: 0 })
    }

    /// Reads until `into` is full, or the file has ended; returns how many bytes.
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let file = opened(&mut self.file)?;
        let mut got = 0;
        while got < into.len() {
            match file.read(&mut into[got..]) {
                Ok(0) => break,
                Ok(count) => got += count,
                Err(cause) if cause.kind() == Cause::Interrupted => {}
                Err(cause) => {
                    // To read the same once more, when this is tried again; what has no position, like a pipe, goes on where it is.
                    let _ = file.seek(SeekFrom::Start(self.position));
                    return Err(error("read", &self.path, cause));
                }
            }
        }
        Ok(got)
    }
}

impl Described for FileSource {
    const NAME: &'static str = "FileSource";
    const ABOUT: &'static str = "Sends the bytes of a file in messages of one size, the last of which may be shorter. It waits for the device: \
         give it a thread of its own when that is slow.";
    const SETTINGS: &'static [Setting] = &[
        PATH,
        Setting { kind: Kind::Whole { min: 1, max: millrace::limits::MAX_BUFFER_BYTES as u64 }, ..SIZE },
    ];

    fn from_settings(settings: &Settings) -> Result<Self> {
        Self::new(settings.text("path"), size(settings))
    }
}

impl Block for FileSource {
    fn ports(&self) -> Ports {
        Ports::new().output("out")
    }

    fn start(&mut self) -> Result<()> {
        self.file = Some(File::open(&self.path).map_err(|cause| error("open", &self.path, cause))?);
        Ok(())
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let most = (CALL_BYTES / self.bytes).clamp(1, io.budget());
        for at in 0..most.min(io.room(0)?) {
            let Some(mut message) = io.allocate(self.bytes)? else {
                return Ok(Work::NeedMemory { bytes: self.bytes });
            };
            let got = match self.read(message.bytes_mut()) {
                Ok(got) => got,
                // What was read before is sent first: it would not be read again.
                Err(_) if at > 0 => break,
                Err(error) => return Err(error),
            };
            if got > 0 {
                message.set_len(got);
                message.set_sequence(self.sequence);
                io.send(0, message);
                self.sequence += 1;
                self.position += got as u64;
            }
            if got < self.bytes {
                return Ok(Work::Done);
            }
        }
        Ok(Work::Ok)
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("bytes", self.position)]
    }
}

/// Writes the bytes of all messages to a file, one after the other. See the module on slow devices. Input: `in`.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    appends: bool,
    syncs: bool,
    file: Option<File>,
    written: u64,
}

impl FileSink {
    /// The file at `path`, which is made, or emptied, when the block is started.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), appends: false, syncs: false, file: None, written: 0 }
    }

    /// Leaves in the file what is there.
    #[must_use]
    pub fn append(mut self) -> Self {
        self.appends = true;
        self
    }

    /// Waits at the end until the device has everything.
    #[must_use]
    pub fn sync(mut self) -> Self {
        self.syncs = true;
        self
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let file = opened(&mut self.file)?;
        let mut left = bytes;
        while !left.is_empty() {
            match file.write(left) {
                Ok(0) => return Err(self.undo(bytes.len() - left.len(), Cause::WriteZero.into())),
                Ok(count) => left = &left[count..],
                Err(cause) if cause.kind() == Cause::Interrupted => {}
                Err(cause) => return Err(self.undo(bytes.len() - left.len(), cause)),
            }
        }
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Takes back the first bytes of a message of which the rest cannot be written; from what has no position, like a pipe, nothing can be.
    fn undo(&mut self, bytes: usize, cause: std::io::Error) -> Error {
        if let (Some(file), true) = (&mut self.file, bytes > 0)
            && let Ok(at) = file.seek(SeekFrom::Current(-(bytes as i64)))
        {
            let _ = file.set_len(at);
        }
        error("write", &self.path, cause)
    }
}

impl Described for FileSink {
    const NAME: &'static str = "FileSink";
    const ABOUT: &'static str = "Writes the bytes of all messages to a file, one after the other. It waits for the device: give it a thread of \
         its own when that is slow.";
    const SETTINGS: &'static [Setting] = &[
        PATH,
        Setting {
            name: "append",
            kind: Kind::Flag,
            unit: "",
            default: Fallback::Flag(false),
            about: "What is in the file stays there; without it, the file is emptied first.",
        },
        Setting {
            name: "sync",
            kind: Kind::Flag,
            unit: "",
            default: Fallback::Flag(false),
            about: "It waits at its end until the device has everything.",
        },
    ];

    fn from_settings(settings: &Settings) -> Result<Self> {
        let (appends, syncs) = (settings.flag("append"), settings.flag("sync"));
        Ok(Self { appends, syncs, ..Self::new(settings.text("path")) })
    }
}

impl Block for FileSink {
    fn ports(&self) -> Ports {
        Ports::new().input("in")
    }

    fn start(&mut self) -> Result<()> {
        let mut options = OpenOptions::new();
        options.create(true).write(true).append(self.appends).truncate(!self.appends);
        self.file = Some(options.open(&self.path).map_err(|cause| error("open", &self.path, cause))?);
        Ok(())
    }

    fn work(&mut self, io: &mut Io<'_>) -> Result<Work> {
        let mut bytes_left = CALL_BYTES;
        for at in 0..io.available(0) {
            let Some(message) = io.peek(0, 0)? else { break };
            if at > 0 && message.len() > bytes_left {
                break;
            }
            bytes_left = bytes_left.saturating_sub(message.len());
            match self.write(bytes(&message)) {
                Ok(()) => _ = io.next(0)?,
                // Those before are in the file, and must not come again: this one fails by itself in the next call.
                Err(_) if at > 0 => break,
                Err(error) => {
                    io.next(0)?;
                    return Err(error);
                }
            }
        }
        Ok(Work::Ok)
    }

    fn stop(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        if self.syncs {
            file.sync_all().map_err(|cause| error("write", &self.path, cause))?;
        }
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("bytes", self.written)]
    }
}
