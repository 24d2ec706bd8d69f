//! Directories of our own, and the files in them, by descriptor: what a path leads to may have become something else meanwhile.
//!
//! Modes are set explicitly. A umask may take away what a mode asks for, and a process that is killed before it has put that right leaves
//! a file that nobody can open: whoever finds such a file of ours gives it its mode.

use super::{Doorbell, retry, user};
use crate::error::{Error, ErrorKind, Result};
use crate::os::{Access, FileId};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

impl FileId {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { device: number(stat.st_dev), inode: number(stat.st_ino) }
    }
}

/// The fields of `Stat` differ in width between systems.
fn number(field: impl TryInto<u64>) -> u64 {
    field.try_into().unwrap_or(u64::MAX)
}

impl Access {
    fn forbidden(self) -> RawMode {
        match self {
            Self::None => 0o077,
            Self::ReadOnly => 0o022,
        }
    }
}

/// A directory that belongs to this user.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    fd: OwnedFd,
    id: FileId,
}

impl Dir {
    /// Makes directory `path` (0700); one that exists is fine. Whether it was made.
    ///
    /// # Errors
    /// `Permission`, `NoSpace`, `Io`.
    pub(crate) fn make(path: &Path) -> Result<bool> {
        match rustix::fs::mkdirat(CWD, path, Mode::RWXU) {
            Ok(()) => {
                restore_mode(CWD, path, Mode::RWXU);
                Ok(true)
            }
            Err(Errno::EXIST) => Ok(false),
            Err(e) => Err(Error::io(format!("cannot make directory {}", path.display()), e)),
        }
    }

    /// Opens directory `path`.
    ///
    /// # Errors
    /// `Permission` when it is a link, belongs to somebody else, or gives others more than `access`; `Limit`, `Io`.
    pub(crate) fn open(path: &Path, access: Access) -> Result<Self> {
        let failed = |e: Errno| Error::io(format!("cannot open directory {}", path.display()), e);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || retry(|| rustix::fs::openat(CWD, path, flags, Mode::empty()));
        let opened = match open() {
            Err(Errno::ACCESS) if restore_mode(CWD, path, Mode::RWXU) => open(),
            opened => opened,
        };
        let fd = match opened {
            Ok(fd) => fd,
            Err(e) => {
                // Why it is none of ours says more than why it could not be opened.
                let stat = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
                check_dir(path, &stat, access)?;
                return Err(failed(e));
            }
        };
        let stat = rustix::fs::fstat(&fd).map_err(failed)?;
        check_dir(path, &stat, access)?;
        Ok(Self { path: path.to_owned(), fd, id: FileId::of(&stat) })
    }

    /// The path it was opened by.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The same directory once more, with a descriptor of its own.
    ///
    /// # Errors
    /// `Limit`.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        let failed = |e| Error::io(format!("cannot open {} once more", self.path.display()), e);
        Ok(Self { path: self.path.clone(), fd: self.fd.try_clone().map_err(failed)?, id: self.id })
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Whether its path (still) leads to this very directory.
    pub(crate) fn is_in_place(&self) -> bool {
        let found = rustix::fs::statat(CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|stat| FileId::of(&stat) == self.id)
    }

    /// Whether the name `name` (still) leads to this very `file`.
    pub(crate) fn has_file(&self, name: &str, file: &File) -> Result<bool> {
        let stat = rustix::fs::fstat(file).map_err(|e| self.failed("look at", name, e))?;
        Ok(self.id_of(name)? == Some(FileId::of(&stat)))
    }

    /// Opens file `name` for reading and writing; with `create` it is made (0600) if need be.
    pub(crate) fn open_file(&self, name: &str, create: bool) -> Result<File> {
        let file = match self.open_existing(name, OFlags::RDWR) {
            Err(Errno::NOENT) if create => self.create_file(name),
            file => file,
        };
        file.map(File::from).map_err(|e| self.failed("open", name, e))
    }

    fn create_file(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match retry(|| rustix::fs::openat(&self.fd, name, flags, PRIVATE)) {
            Ok(fd) => {
                rustix::fs::fchmod(&fd, PRIVATE)?;
                Ok(fd)
            }
            // Somebody else was faster.
            Err(Errno::EXIST) => self.open_existing(name, OFlags::RDWR),
            Err(e) => Err(e),
        }
    }

    /// Opens the doorbell `name`, a FIFO; with `create` it is made (0600) if need be.
    pub(crate) fn open_doorbell(&self, name: &str, create: bool) -> Result<Doorbell> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK;
        let fd = match self.open_existing(name, flags) {
            Err(Errno::NOENT) if create => match self.make_fifo(name) {
                Ok(()) | Err(Errno::EXIST) => self.open_existing(name, flags),
                Err(e) => Err(e),
            },
            fd => fd,
        };
        let fd = fd.map_err(|e| self.failed("open doorbell", name, e))?;
        let stat = rustix::fs::fstat(&fd).map_err(|e| self.failed("look at", name, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("{} is not a doorbell (a FIFO)", self.path.join(name).display()),
            ));
        }
        Ok(Doorbell::new(fd))
    }

    fn make_fifo(&self, name: &str) -> rustix::io::Result<()> {
        crate::os::system::make_fifo(&self.fd, name, &self.path, PRIVATE)?;
        restore_mode(&self.fd, name, PRIVATE);
        Ok(())
    }

    fn open_existing(&self, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let open = || retry(|| rustix::fs::openat(&self.fd, name, flags, Mode::empty()));
        match open() {
            Err(Errno::ACCESS) if restore_mode(&self.fd, name, PRIVATE) => open(),
            opened => opened,
        }
    }

    /// Identity of file `name`; `None`: there is none.
    pub(crate) fn id_of(&self, name: &str) -> Result<Option<FileId>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileId::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(self.failed("look at", name, e)),
        }
    }

    /// What is written in file `name`, or the first 512 bytes of it; `None`: there is no such file.
    pub(crate) fn read_line(&self, name: &str) -> Result<Option<String>> {
        let file = match self.open_existing(name, OFlags::RDONLY) {
            Err(Errno::NOENT) => return Ok(None),
            file => File::from(file.map_err(|e| self.failed("open", name, e))?),
        };
        let mut bytes = Vec::new();
        match file.take(512).read_to_end(&mut bytes) {
            Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(e) => Err(Error::io(format!("cannot read {}", self.path.join(name).display()), e)),
        }
    }

    /// Makes `line` the content of file `name`. Killed, the file has its old content or the new one, if one is the start of the other.
    pub(crate) fn write_line(&self, name: &str, line: &str) -> Result<()> {
        let mut file = self.open_file(name, true)?;
        let written = file.write_all(line.as_bytes()).and_then(|()| file.set_len(line.len() as u64));
        written.map_err(|e| Error::io(format!("cannot write {}", self.path.join(name).display()), e))
    }

    /// Gives file `from` the name `to`, whatever had it before.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<()> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to).map_err(|e| self.failed("rename", from, e))
    }

    /// Removes file `name`; one that does not exist is fine.
    pub(crate) fn remove_file(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(self.failed("remove", name, e)),
        }
    }

    /// Names of all that is in the directory.
    pub(crate) fn entries(&self) -> Result<Vec<String>> {
        let failed = |e: Errno| Error::io(format!("cannot list {}", self.path.display()), e);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Removes the directory `name` in this one, which must be empty; one that does not exist is fine.
    pub(crate) fn remove_dir(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(self.failed("remove", name, e)),
        }
    }

    fn failed(&self, what: &str, name: &str, cause: Errno) -> Error {
        Error::io(format!("cannot {what} {}", self.path.join(name).display()), cause)
    }
}

/// Mode of all files: nothing for others.
pub(in crate::os) const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Gives a file of ours that nobody else has access to its `mode` if it lacks some of it; whether it did.
pub(in crate::os) fn restore_mode(dir: impl AsFd, name: impl rustix::path::Arg + Copy, mode: Mode) -> bool {
    let Ok(stat) = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) else { return false };
    let is = Mode::from_raw_mode(stat.st_mode);
    stat.st_uid == user()
        && FileType::from_raw_mode(stat.st_mode) != FileType::Symlink
        && !is.intersects(Mode::RWXG | Mode::RWXO)
        && !is.contains(mode)
        && rustix::fs::chmodat(&dir, name, mode, AtFlags::empty()).is_ok()
}

/// Refuses a directory that is a link, belongs to somebody else, or gives others more than `access`.
fn check_dir(path: &Path, stat: &Stat, access: Access) -> Result<()> {
    let refuse = |why: String| Err(Error::new(ErrorKind::Permission, format!("{} {why}", path.display())));
    let me = user();
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return refuse("is not a directory: links are not followed".to_owned());
    }
    if stat.st_uid != me {
        return refuse(format!("belongs to user {}, not to user {me}", stat.st_uid));
    }
    if stat.st_mode & access.forbidden() != 0 {
        return refuse(format!(
            "has mode {:04o}: other users could interfere (wanted: 0700)",
            stat.st_mode & 0o7777
        ));
    }
    Ok(())
}
