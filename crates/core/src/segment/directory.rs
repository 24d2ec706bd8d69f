//! The directory of one domain: private, with the links of its segments, lock files and doorbells. Everything here is slow path, and
//! refuses what is not ours.
//!
//! A *link* is a file that says which shared memory object a segment is: its name, and its device and inode. Links lie where nobody else
//! can write, so they are what is trusted, never the name of an object. A link is written as `<segment>.new` before the object is made,
//! so every object can be found by a link, and gets its final name when the segment is ready.

use super::lock::{Backoff, FileLock};
use super::{DomainLock, Segment};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::os::{self, Access, Dir, Doorbell, FileId, Mapping, Process};
use std::path::Path;
use std::time::Instant;

/// Names that are tried for an object. They cannot be foreseen, so one that is taken is bad luck already.
const NAME_TRIES: usize = 16;

/// Which segment of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentName {
    Registry,
    Pool(usize),
}

impl SegmentName {
    fn link(self) -> String {
        match self {
            Self::Registry => "registry".to_owned(),
            Self::Pool(index) => format!("pool.{index}"),
        }
    }

    /// Name of the link while the segment is being made.
    fn new_link(self) -> String {
        self.link() + ".new"
    }
}

/// Whose doorbell: that of a participant's event loop, or that of its sentinel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DoorbellKind {
    EventLoop,
    Sentinel,
}

/// The directory of one domain.
#[derive(Debug)]
pub(crate) struct DomainDir {
    dir: Dir,
}

impl DomainDir {
    /// Opens the directory of the domain that `lock` is about; it is made if need be.
    pub(crate) fn open(lock: &DomainLock) -> Result<Self> {
        let path = lock.domain_path();
        let made = Dir::make(&path)?;
        let opened = Dir::open(&path, Access::None);
        if made && opened.is_err() {
            lock.remove_empty()?;
        }
        Ok(Self { dir: opened? })
    }

    /// Opens the directory of domain `name` below `base`, which must exist. Needs no lock: it makes nothing.
    pub(crate) fn existing(base: &Path, name: &str) -> Result<Self> {
        Ok(Self { dir: Dir::open(&base.join(name), Access::None)? })
    }

    /// The same directory once more, whatever its path leads to now.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        Ok(Self { dir: self.dir.try_clone()? })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn id(&self) -> FileId {
        self.dir.id()
    }

    /// Whether its path (still) leads to this very directory.
    pub(crate) fn is_in_place(&self) -> bool {
        self.dir.is_in_place()
    }

    /// Identity of the file `name`; `None`: there is none.
    pub(crate) fn id_of(&self, name: &str) -> Result<Option<FileId>> {
        self.dir.id_of(name)
    }

    /// Takes lock file `name`, which is made if need be; `None`: somebody has it.
    pub(crate) fn try_lock(&self, name: &str) -> Result<Option<FileLock>> {
        let path = self.path().join(name);
        Ok(FileLock::try_take(self.dir.open_file(name, true)?, &path)?.ok())
    }

    /// As [`DomainDir::try_lock`], for a lock file that exists; the error says if it does not.
    pub(crate) fn try_lock_existing(&self, name: &str) -> Result<Option<FileLock>> {
        let path = self.path().join(name);
        Ok(FileLock::try_take(self.dir.open_file(name, false)?, &path)?.ok())
    }

    /// Whether somebody has lock file `name`, which exists.
    pub(crate) fn is_locked(&self, name: &str) -> Result<bool> {
        let failed = |e| Error::io(format!("cannot look at {}", self.path().join(name).display()), e);
        os::is_locked(&self.dir.open_file(name, false)?).map_err(failed)
    }

    /// Whether `process` holds lock file `name`.
    pub(crate) fn is_lock_of(&self, process: &Process, name: &str) -> Result<bool> {
        process.holds_lock(&self.dir, name)
    }

    /// Takes lock file `name`, waiting until `deadline`; the inner error: who has it instead.
    pub(crate) fn lock(&self, name: &str, deadline: Instant) -> Result<Result<FileLock, String>> {
        let path = self.path().join(name);
        let mut backoff = Backoff::default();
        loop {
            match FileLock::try_take(self.dir.open_file(name, true)?, &path)? {
                Ok(lock) => return Ok(Ok(lock.recording_holder())),
                Err(holder) if Instant::now() >= deadline => return Ok(Err(holder.name())),
                Err(_) => backoff.wait(),
            }
        }
    }

    /// Opens the doorbell of participant `slot`; with `create` it is made if need be, which is up to the participant itself.
    pub(crate) fn doorbell(&self, kind: DoorbellKind, slot: usize, create: bool) -> Result<Doorbell> {
        let name = match kind {
            DoorbellKind::EventLoop => format!("doorbell.{slot}"),
            DoorbellKind::Sentinel => format!("sentinel.{slot}"),
        };
        self.dir.open_doorbell(&name, create)
    }

    /// Creates segment `name`; it can be opened by others only after [`DomainDir::publish`].
    ///
    /// # Errors
    /// `NoSpace`, `Limit`, `Io`. Then nothing of it is left.
    pub(crate) fn create_segment(&self, name: SegmentName, bytes: usize) -> Result<Segment> {
        // Left by a creator that died.
        self.remove_segment(name)?;
        let made = self.create_object(name, bytes);
        if made.is_err() {
            self.discard(&name.new_link())?;
        }
        made
    }

    fn create_object(&self, name: SegmentName, bytes: usize) -> Result<Segment> {
        let link = name.new_link();
        for _ in 0..NAME_TRIES {
            let object = os::object_name(self.id(), &name.link(), os::random());
            self.dir.write_line(&link, &object)?;
            fault::hit(Point::SegmentNamed);
            let Some(id) = os::create_object(&object, bytes)? else { continue };
            fault::hit(Point::SegmentMade);
            self.dir.write_line(&link, &format!("{object} {:x} {:x}", id.device, id.inode))?;
            return Ok(Segment::new(Mapping::open(&object, id)?));
        }
        Err(Error::new(
            ErrorKind::Io,
            format!(
                "{NAME_TRIES} names for shared memory objects were all taken: somebody makes every name there is"
            ),
        ))
    }

    /// Bytes of memory that its segments take, published or not; `None`: the system does not say.
    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        os::memory_bytes(&os::object_prefix(self.id()))
    }

    /// Marks the segment ready and links it under its name.
    pub(crate) fn publish(&self, name: SegmentName, segment: &Segment) -> Result<()> {
        segment.finish()?;
        self.dir.rename(&name.new_link(), &name.link())
    }

    /// Whether segment `name` has been published.
    pub(crate) fn has_segment(&self, name: SegmentName) -> Result<bool> {
        Ok(self.dir.id_of(&name.link())?.is_some())
    }

    /// Opens segment `name`.
    pub(crate) fn open_segment(&self, name: SegmentName) -> Result<Segment> {
        let (mapping, what) = self.map(name)?;
        Segment::open(mapping, &what)
    }

    /// Whether its registry says that the domain persists, whatever layout it has.
    pub(crate) fn persists(&self) -> Result<bool> {
        Segment::persists(self.map(SegmentName::Registry)?.0)
    }

    /// What there is of segment `name`, and what errors call it.
    fn map(&self, name: SegmentName) -> Result<(Mapping, String)> {
        let what = format!("segment {}", self.path().join(name.link()).display());
        let Some(line) = self.dir.read_line(&name.link())? else {
            return Err(Error::new(ErrorKind::Corrupt, format!("{what} is gone")));
        };
        let Some((object, id)) = self.parse(&line) else {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "{what} names no object of this directory, but {line:?}: it was damaged, or copied here"
                ),
            ));
        };
        let mapping = Mapping::open(object, id).map_err(|e| e.about(&what))?;
        Ok((mapping, what))
    }

    /// Removes what there is of segment `name`, published or not.
    pub(crate) fn remove_segment(&self, name: SegmentName) -> Result<()> {
        self.discard(&name.link())?;
        self.discard(&name.new_link())
    }

    /// Removes a link and its object, whatever is left of them.
    fn discard(&self, link: &str) -> Result<()> {
        let line = self.dir.read_line(link)?;
        if let Some(object) = line.as_deref().and_then(|line| self.object_of(line)) {
            os::remove_object(object)?;
        }
        self.dir.remove_file(link)
    }

    /// Object and identity that a link says. `None`: it is not whole, or about the object of another directory.
    fn parse<'a>(&self, line: &'a str) -> Option<(&'a str, FileId)> {
        let object = self.object_of(line)?;
        let mut numbers = line.split(' ').skip(1).map(|word| u64::from_str_radix(word, 16));
        let (device, inode) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        numbers.next().is_none().then_some((object, FileId { device, inode }))
    }

    fn object_of<'a>(&self, line: &'a str) -> Option<&'a str> {
        line.split(' ').next().filter(|object| object.starts_with(&os::object_prefix(self.id())))
    }

    /// Removes everything in the directory: objects, links, lock files, doorbells. The caller holds the domain lock, and nobody is in
    /// the domain any more.
    pub(crate) fn clear(&self) -> Result<()> {
        if self.has_segment(SegmentName::Registry)? {
            // First: killed later on, what is left is not taken for a domain, and can still be found.
            self.dir.rename(&SegmentName::Registry.link(), &SegmentName::Registry.new_link())?;
            fault::hit(Point::RemoveBegun);
        }
        let files = self.dir.entries()?;
        for link in files.iter().filter(|file| file.starts_with("pool.") || file.starts_with("registry.")) {
            self.discard(link)?;
        }
        // Those whose links somebody has removed. Nobody else can have the name of this directory, it is still open.
        for object in os::objects(&os::object_prefix(self.id())) {
            os::remove_object(&object)?;
        }
        // What cannot be removed is not ours: then the directory stays.
        files.iter().for_each(|file| drop(self.dir.remove_file(file)));
        Ok(())
    }
}
