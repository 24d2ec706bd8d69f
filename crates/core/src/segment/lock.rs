//! File locks, which the kernel drops when their holder dies; and the domain lock, which serialises creating, joining and removing one
//! domain: a file beside its directory, in the directory of all domains.

use super::{DomainDir, SegmentName, validate_name};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::os::{self, Access, Dir};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The lock of one domain, held until this is dropped.
#[derive(Debug)]
pub(crate) struct DomainLock {
    /// The directory of all domains.
    base: Dir,
    /// Name of the domain.
    name: String,
    _lock: FileLock,
}

/// An attempt to take the lock.
enum Attempt {
    Taken(DomainLock),
    Busy(Holder),
    /// It was removed between our open and our lock: there is a new one, or none.
    Removed,
}

impl DomainLock {
    /// Takes the lock of domain `name` below `base`, which is made if need be, waiting until `deadline`.
    pub(crate) fn take(base: &Path, name: &str, deadline: Instant) -> Result<Self> {
        let mut backoff = Backoff::default();
        loop {
            Dir::make(base)?;
            match Self::attempt(base, name)? {
                Attempt::Taken(lock) => return Ok(lock),
                Attempt::Removed => {}
                Attempt::Busy(holder) if Instant::now() >= deadline => {
                    return Err(Error::new(
                        ErrorKind::Timeout,
                        format!(
                            "domain {name:?} is locked by {}, which neither proceeds nor ends",
                            holder.name()
                        ),
                    ));
                }
                Attempt::Busy(_) => backoff.wait(),
            }
        }
    }

    /// Takes the lock if it is free; `None`: somebody has it, or there is nothing (any more) to lock.
    pub(crate) fn try_take(base: &Path, name: &str) -> Result<Option<Self>> {
        loop {
            match Self::attempt(base, name)? {
                Attempt::Taken(lock) => return Ok(Some(lock)),
                Attempt::Busy(_) => return Ok(None),
                Attempt::Removed if !base.is_dir() => return Ok(None),
                Attempt::Removed => {}
            }
        }
    }

    fn attempt(base: &Path, name: &str) -> Result<Attempt> {
        // The last one out removes an empty base directory.
        let base = match Dir::open(base, Access::ReadOnly) {
            Err(e) if e.is_not_found() => return Ok(Attempt::Removed),
            Err(e) if e.kind() == ErrorKind::Permission => {
                return Err(e.advising("choose a directory of your own (`directory`, or MILLRACE_DIR)"));
            }
            base => base?,
        };
        let lock_name = lock_name(name);
        let file = match base.open_file(&lock_name, true) {
            Err(e) if e.is_not_found() => return Ok(Attempt::Removed),
            file => file?,
        };
        match FileLock::try_take(file, &base.path().join(&lock_name))? {
            Err(holder) => Ok(Attempt::Busy(holder)),
            Ok(lock) if !base.has_file(&lock_name, &lock.0)? => Ok(Attempt::Removed),
            Ok(lock) => {
                Ok(Attempt::Taken(Self { base, name: name.to_owned(), _lock: lock.recording_holder() }))
            }
        }
    }

    /// Where the directory of the domain is, or would be.
    pub(crate) fn domain_path(&self) -> PathBuf {
        self.base.path().join(&self.name)
    }

    /// Removes the domain in `dir`, which nobody is in any more. If another directory has taken its place, that one stays.
    pub(crate) fn remove_domain(&self, dir: &DomainDir) -> Result<()> {
        dir.clear()?;
        fault::hit(Point::RemoveCleared);
        if self.base.id_of(&self.name)? == Some(dir.id()) {
            self.base.remove_dir(&self.name)?;
        }
        Ok(())
    }

    /// Removes the directory of the domain, if there is nothing in it.
    pub(super) fn remove_empty(&self) -> Result<()> {
        self.base.remove_dir(&self.name)
    }

    /// Removes what is left of a domain that could not be made.
    pub(crate) fn remove_unfinished(&self) {
        if let Ok(dir) = DomainDir::existing(self.base.path(), &self.name)
            && matches!(dir.has_segment(SegmentName::Registry), Ok(false))
        {
            // What cannot be removed now is removed by the next who opens the domain.
            let _ = self.remove_domain(&dir);
        }
    }

    /// A descriptor that is kept for later.
    ///
    /// # Errors
    /// `Limit`, when none is left.
    pub(crate) fn spare(&self) -> Result<Dir> {
        self.base.try_clone()
    }

    /// Gives the lock up. If there is no domain its lock file goes, too, and so does an empty directory of all domains of our own choice.
    pub(crate) fn release(self) {
        if matches!(self.base.id_of(&self.name), Ok(None)) {
            let _ = self.base.remove_file(&lock_name(&self.name));
            if self.base.path() == os::default_base() {
                // Fails as long as anything is in it.
                let _ = std::fs::remove_dir(self.base.path());
            }
        }
    }
}

/// Names of the domains below `base`, sorted: of what has a lock, finished or not. Takes none of the locks.
pub(crate) fn domain_names(base: &Path) -> Result<Vec<String>> {
    let base = match Dir::open(base, Access::ReadOnly) {
        Err(e) if e.is_not_found() => return Ok(Vec::new()),
        base => base?,
    };
    let mut names = Vec::new();
    for name in base.entries()? {
        if validate_name("domain", &name).is_ok() && base.id_of(&lock_name(&name))?.is_some() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn lock_name(domain: &str) -> String {
    format!(".{domain}.lock")
}

/// A locked file, until it is dropped.
#[derive(Debug)]
pub(crate) struct FileLock(File);

impl FileLock {
    /// Locks `file`; the inner error: somebody has it. `path` names it in errors.
    pub(super) fn try_take(file: File, path: &Path) -> Result<Result<Self, Holder>> {
        let locked =
            os::try_lock(&file).map_err(|e| Error::io(format!("cannot lock {}", path.display()), e))?;
        Ok(if locked { Ok(Self(file)) } else { Err(Holder(file)) })
    }

    /// Writes into the file whose the lock is, for people. Best effort.
    pub(super) fn recording_holder(mut self) -> Self {
        os::record_holder(&mut self.0);
        self
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Said, not only closed: a child that has just been forked, and has not executed anything yet, has our descriptors, too.
        let _ = os::unlock(&self.0);
    }
}

/// Who has a lock, as far as its file says.
pub(super) struct Holder(File);

impl Holder {
    pub(super) fn name(mut self) -> String {
        let mut pid = String::new();
        let _ = (&mut self.0).take(20).read_to_string(&mut pid);
        match pid.split_whitespace().next().unwrap_or_default().parse::<u32>() {
            Ok(pid) => format!("process {pid}"),
            Err(_) => "a process that has not said which it is".to_owned(),
        }
    }
}

/// File locks have no deadline of their own: pauses between attempts, which grow to what a joiner needs.
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(Duration::from_micros(100))
    }
}

impl Backoff {
    pub(super) fn wait(&mut self) {
        std::thread::sleep(self.0);
        self.0 = (self.0 * 2).min(Duration::from_millis(2));
    }
}

/// The directory that holds all domains of this user.
pub(crate) fn base_dir(directory: Option<&Path>) -> PathBuf {
    let given = directory.map(Path::to_owned).or_else(|| std::env::var_os("MILLRACE_DIR").map(PathBuf::from));
    given.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(os::default_base)
}
