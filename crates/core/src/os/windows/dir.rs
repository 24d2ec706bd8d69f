//! Directories of our own, and the files in them, by handle: what a path leads to may have become something else meanwhile.

use super::{Doorbell, done, nt, object, security};
use crate::error::{Error, ErrorKind, Result};
use crate::os::{Access, FileId};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::{Component, Path, PathBuf, Prefix};
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_CREATE, FILE_DIRECTORY_FILE, FILE_NON_DIRECTORY_FILE, FILE_OPEN, FILE_OPEN_IF,
};
use windows_sys::Win32::Foundation::GENERIC_READ;
use windows_sys::Win32::Storage::FileSystem::{
    CreateDirectoryW, DELETE, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_GENERIC_READ, FILE_GENERIC_WRITE,
    FILE_READ_ATTRIBUTES, GetFinalPathNameByHandleW,
};

/// A directory that belongs to this user.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    handle: File,
    id: FileId,
}

impl Dir {
    /// Makes directory `path`, for this user alone; one that exists is fine. Whether it was made.
    ///
    /// # Errors
    /// `Permission`, `NoSpace`, `Io`.
    pub(crate) fn make(path: &Path) -> Result<bool> {
        match make(path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(Error::io(format!("cannot make directory {}", path.display()), e)),
        }
    }

    /// Opens directory `path`.
    ///
    /// # Errors
    /// `Permission` when it is a link, belongs to somebody else, or gives others more than `access`; `Limit`, `Io`.
    pub(crate) fn open(path: &Path, access: Access) -> Result<Self> {
        let failed = |e: io::Error| Error::io(format!("cannot open directory {}", path.display()), e);
        let handle = open(path).map_err(failed)?;
        let attributes = nt::information(&handle).map_err(failed)?.dwFileAttributes;
        if attributes & FILE_ATTRIBUTE_DIRECTORY == 0 || attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
            let message = format!("{} is not a directory: links are not followed", path.display());
            return Err(Error::new(ErrorKind::Permission, message));
        }
        security::check(path, &handle, access)?;
        let id = nt::id_of(&handle).map_err(failed)?;
        Ok(Self { path: path.to_owned(), handle, id })
    }

    /// The path it was opened by.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The same directory once more.
    ///
    /// # Errors
    /// `Limit`.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        let failed = |e| Error::io(format!("cannot open {} once more", self.path.display()), e);
        let handle = self.handle.try_clone().map_err(failed)?;
        Ok(Self { path: self.path.clone(), handle, id: self.id })
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Whether its path (still) leads to this very directory.
    pub(crate) fn is_in_place(&self) -> bool {
        open(&self.path).and_then(|found| nt::id_of(&found)).is_ok_and(|id| id == self.id)
    }

    /// Whether the name `name` (still) leads to this very `file`.
    pub(crate) fn has_file(&self, name: &str, file: &File) -> Result<bool> {
        let id = nt::id_of(file).map_err(|e| self.failed("look at", name, e))?;
        Ok(self.id_of(name)? == Some(id))
    }

    /// Opens file `name` for reading and writing; with `create` it is made if need be.
    pub(crate) fn open_file(&self, name: &str, create: bool) -> Result<File> {
        let disposition = if create { FILE_OPEN_IF } else { FILE_OPEN };
        self.open_as(name, READ_WRITE, disposition).map_err(|e| self.failed("open", name, e))
    }

    /// Makes file `name`; `None`: that name is taken.
    pub(super) fn create_file(&self, name: &str) -> io::Result<Option<File>> {
        match self.open_as(name, READ_WRITE, FILE_CREATE) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            made => made.map(Some),
        }
    }

    fn open_as(&self, name: &str, access: u32, disposition: u32) -> io::Result<File> {
        nt::open_at(&self.handle, name, access, disposition, FILE_NON_DIRECTORY_FILE)
    }

    /// As `open_as`; `None`: there is no such file.
    fn open_existing(&self, name: &str, access: u32, options: u32) -> io::Result<Option<File>> {
        match nt::open_at(&self.handle, name, access, FILE_OPEN, options) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            file => file.map(Some),
        }
    }

    /// Opens the doorbell `name`; with `create` it is made if need be.
    pub(crate) fn open_doorbell(&self, name: &str, create: bool) -> Result<Doorbell> {
        let event = match self.read_line(name)? {
            Some(event) if Doorbell::is_name(&event) => event,
            Some(_) if !create => {
                let message = format!("{} names no doorbell", self.path.join(name).display());
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            None if !create => {
                return Err(self.failed("open doorbell", name, io::ErrorKind::NotFound.into()));
            }
            _ => {
                let event = Doorbell::new_name();
                self.write_line(name, &event)?;
                event
            }
        };
        Doorbell::open(&event).map_err(|e| self.failed("open doorbell", name, e))
    }

    /// Identity of what is called `name`; `None`: there is nothing.
    pub(crate) fn id_of(&self, name: &str) -> Result<Option<FileId>> {
        let found = self.open_existing(name, FILE_READ_ATTRIBUTES, 0);
        let id = found.and_then(|file| file.map(|file| nt::id_of(&file)).transpose());
        id.map_err(|e| self.failed("look at", name, e))
    }

    /// What is written in file `name`, or the first 512 bytes of it; `None`: there is no such file.
    pub(crate) fn read_line(&self, name: &str) -> Result<Option<String>> {
        let failed = |e| self.failed("read", name, e);
        let file = self.open_existing(name, FILE_GENERIC_READ, FILE_NON_DIRECTORY_FILE).map_err(failed)?;
        let Some(file) = file else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(512).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Makes `line` the content of file `name`. Killed, the file has its old content or the new one, if one is the start of the other.
    pub(crate) fn write_line(&self, name: &str, line: &str) -> Result<()> {
        let mut file = self.open_file(name, true)?;
        let written = file.write_all(line.as_bytes()).and_then(|()| file.set_len(line.len() as u64));
        written.map_err(|e| self.failed("write", name, e))
    }

    /// Gives file `from` the name `to`, whatever had it before.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<()> {
        let file = self.open_as(from, DELETE, FILE_OPEN);
        let renamed = file.and_then(|file| nt::rename(&file, &self.handle, to));
        renamed.map_err(|e| self.failed("rename", from, e))
    }

    /// Removes file `name`; one that does not exist is fine.
    pub(crate) fn remove_file(&self, name: &str) -> Result<()> {
        self.remove(name, FILE_NON_DIRECTORY_FILE)
    }

    /// Removes the directory `name` in this one, which must be empty; one that does not exist is fine.
    pub(crate) fn remove_dir(&self, name: &str) -> Result<()> {
        // Moved aside, one with files in it would be gone.
        let failed = |e| self.failed("remove", name, e);
        let dir = self.open_existing(name, FILE_GENERIC_READ, FILE_DIRECTORY_FILE).map_err(failed)?;
        match dir.map(|dir| entries_of(&dir)).transpose().map_err(failed)? {
            Some(files) if !files.is_empty() => Err(failed(io::ErrorKind::DirectoryNotEmpty.into())),
            _ => self.remove(name, FILE_DIRECTORY_FILE),
        }
    }

    fn remove(&self, name: &str, options: u32) -> Result<()> {
        let file = self.open_existing(name, DELETE, options);
        let removed = file
            .and_then(|file| file.map_or(Ok(()), |file| nt::remove(&file, || object::directory_handle())));
        removed.map_err(|e| self.failed("remove", name, e))
    }

    /// Deletes file `name` where it is, with its last handle; not while it is mapped.
    pub(super) fn delete_file(&self, name: &str) -> io::Result<()> {
        let file = self.open_existing(name, DELETE, FILE_NON_DIRECTORY_FILE)?;
        file.map_or(Ok(()), |file| nt::delete(&file))
    }

    /// Names of all that is in the directory.
    pub(crate) fn entries(&self) -> Result<Vec<String>> {
        entries_of(&self.handle).map_err(|e| Error::io(format!("cannot list {}", self.path.display()), e))
    }

    pub(super) fn into_handle(self) -> File {
        self.handle
    }

    fn failed(&self, what: &str, name: &str, cause: io::Error) -> Error {
        Error::io(format!("cannot {what} {}", self.path.join(name).display()), cause)
    }
}

const READ_WRITE: u32 = FILE_GENERIC_READ | FILE_GENERIC_WRITE | DELETE;

fn make(path: &Path) -> io::Result<()> {
    let attributes = security::private_file()?.attributes();
    let path: Vec<u16> = verbatim(path)?.as_os_str().encode_wide().chain([0]).collect();
    // SAFETY: a terminated path, and attributes that live through the call.
    done(unsafe { CreateDirectoryW(path.as_ptr(), &raw const attributes) })
}

fn open(path: &Path) -> io::Result<File> {
    let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
    File::options().access_mode(GENERIC_READ).custom_flags(flags).open(verbatim(path)?)
}

/// `path` in the form that leaves its last name as it is: otherwise `con` is no file, and `a.` is `a`.
fn verbatim(path: &Path) -> io::Result<PathBuf> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path.to_owned()) };
    let parent = std::path::absolute(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
    let is_disk = |prefix: Prefix<'_>| matches!(prefix, Prefix::Disk(_));
    match parent.components().next() {
        Some(Component::Prefix(prefix)) if is_disk(prefix.kind()) => {
            let mut verbatim = OsString::from(r"\\?\");
            verbatim.push(parent);
            Ok(PathBuf::from(verbatim).join(name))
        }
        _ => Ok(parent.join(name)),
    }
}

/// Names of all that is in a directory, wherever it is by now.
fn entries_of(dir: &File) -> io::Result<Vec<String>> {
    let mut path = [0_u16; 1024];
    // SAFETY: an open handle and a buffer of so many units.
    let length =
        unsafe { GetFinalPathNameByHandleW(dir.as_raw_handle(), path.as_mut_ptr(), path.len() as u32, 0) };
    let path = path.get(..length as usize).filter(|path| !path.is_empty());
    let path = OsString::from_wide(path.ok_or_else(io::Error::last_os_error)?);
    std::fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
