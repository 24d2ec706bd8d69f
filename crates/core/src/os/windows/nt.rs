//! Files by the handle of their directory, never by a path: only the native interface has that. Links are not followed.

use super::{done, security};
use crate::os::{FileId, random};
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::windows::io::{AsRawHandle, FromRawHandle};
use std::ptr::null_mut;
use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_OPEN_REPARSE_POINT, FILE_RENAME_INFORMATION, FILE_SYNCHRONOUS_IO_NONALERT, FileRenameInformation,
    NTCREATEFILE_CREATE_DISPOSITION, NTCREATEFILE_CREATE_OPTIONS, NtCreateFile, NtSetInformationFile,
};
use windows_sys::Win32::Foundation::{
    ERROR_FILE_NOT_FOUND, NTSTATUS, OBJ_CASE_INSENSITIVE, RtlNtStatusToDosError, STATUS_DELETE_PENDING,
    UNICODE_STRING,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ATTRIBUTE_NOT_CONTENT_INDEXED, FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_ATTRIBUTE_TEMPORARY, FILE_DISPOSITION_FLAG_DELETE, FILE_DISPOSITION_FLAG_POSIX_SEMANTICS,
    FILE_DISPOSITION_INFO, FILE_DISPOSITION_INFO_EX, FILE_INFO_BY_HANDLE_CLASS, FILE_SHARE_DELETE,
    FILE_SHARE_READ, FILE_SHARE_WRITE, FileDispositionInfo, FileDispositionInfoEx,
    GetFileInformationByHandle, SYNCHRONIZE, SetFileInformationByHandle,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;

/// Opens what is called `name` in `dir`. What it makes belongs to this user alone.
pub(super) fn open_at(
    dir: &File,
    name: &str,
    access: u32,
    disposition: NTCREATEFILE_CREATE_DISPOSITION,
    options: NTCREATEFILE_CREATE_OPTIONS,
) -> io::Result<File> {
    let mut name: Vec<u16> = name.encode_utf16().collect();
    let bytes = u16::try_from(name.len() * 2).map_err(|_| io::ErrorKind::InvalidFilename)?;
    let name = UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: name.as_mut_ptr() };
    let private = security::private_file()?;
    let attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: dir.as_raw_handle(),
        ObjectName: &raw const name,
        Attributes: OBJ_CASE_INSENSITIVE,
        SecurityDescriptor: private.as_ptr().cast(),
        SecurityQualityOfService: null_mut(),
    };
    let (mut handle, mut status) = (null_mut(), IO_STATUS_BLOCK::default());
    // SAFETY: all pointers are to locals that outlive the call; the handle of the directory is open.
    let result = unsafe {
        NtCreateFile(
            &raw mut handle,
            access | SYNCHRONIZE,
            &raw const attributes,
            &raw mut status,
            null_mut(),
            // What is in these files need not come to the disk, and nobody searches for it.
            FILE_ATTRIBUTE_TEMPORARY | FILE_ATTRIBUTE_NOT_CONTENT_INDEXED,
            FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
            disposition,
            FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_REPARSE_POINT | options,
            null_mut(),
            0,
        )
    };
    succeeded(result)?;
    // SAFETY: it has just been opened, and is nobody else's.
    let file = unsafe { File::from_raw_handle(handle) };
    if information(&file)?.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is a link, which is not followed"));
    }
    Ok(file)
}

fn succeeded(status: NTSTATUS) -> io::Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // What is being deleted cannot be had any more, whoever still has it open.
    let code = match status {
        STATUS_DELETE_PENDING => ERROR_FILE_NOT_FOUND,
        // SAFETY: takes a number and returns one.
        status => unsafe { RtlNtStatusToDosError(status) },
    };
    Err(io::Error::from_raw_os_error(code.cast_signed()))
}

pub(super) fn information(file: &File) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
    let mut information = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: an open handle and an out-parameter of the right type.
    done(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut information) })?;
    Ok(information)
}

pub(super) fn id_of(file: &File) -> io::Result<FileId> {
    let information = information(file)?;
    Ok(FileId {
        device: information.dwVolumeSerialNumber.into(),
        inode: u64::from(information.nFileIndexHigh) << 32 | u64::from(information.nFileIndexLow),
    })
}

/// Gives `file`, opened with the right to delete it, the name `to` in `dir`, whatever had it before.
pub(super) fn rename(file: &File, dir: &File, to: &str) -> io::Result<()> {
    const NAME: usize = offset_of!(FILE_RENAME_INFORMATION, FileName);
    let name: Vec<u16> = to.encode_utf16().collect();
    // Words, so that it is aligned.
    let mut words = vec![0_u64; (size_of::<FILE_RENAME_INFORMATION>() + name.len() * 2).div_ceil(8)];
    let request = words.as_mut_ptr().cast::<FILE_RENAME_INFORMATION>();
    let mut header = FILE_RENAME_INFORMATION::default();
    header.Anonymous.ReplaceIfExists = true;
    header.RootDirectory = dir.as_raw_handle();
    header.FileNameLength = (name.len() * 2) as u32;
    // SAFETY: there is room for it.
    unsafe { request.write(header) };
    // SAFETY: the name begins inside of the request.
    let target = unsafe { request.cast::<u8>().add(NAME) };
    // SAFETY: there is room for the name, see above; it comes from another allocation.
    unsafe { name.as_ptr().cast::<u8>().copy_to_nonoverlapping(target, name.len() * 2) };
    let mut status = IO_STATUS_BLOCK::default();
    // SAFETY: a request of so many bytes, which outlives the call.
    succeeded(unsafe {
        NtSetInformationFile(
            file.as_raw_handle(),
            &raw mut status,
            request.cast(),
            (words.len() * 8) as u32,
            FileRenameInformation,
        )
    })
}

fn set<T>(file: &File, class: FILE_INFO_BY_HANDLE_CLASS, value: &T) -> io::Result<()> {
    let pointer = (&raw const *value).cast();
    // SAFETY: the value has the type that belongs to the class, and outlives the call.
    done(unsafe { SetFileInformationByHandle(file.as_raw_handle(), class, pointer, size_of::<T>() as u32) })
}

/// Removes `file`, opened with the right to delete it, so that its name is free at once, whoever has it open. If somebody has it mapped,
/// or the file system frees names only with the last handle, it is moved to `aside` first, whence it can be deleted later on.
pub(super) fn remove(file: &File, aside: impl FnOnce() -> io::Result<File>) -> io::Result<()> {
    let flags = FILE_DISPOSITION_FLAG_DELETE | FILE_DISPOSITION_FLAG_POSIX_SEMANTICS;
    if set(file, FileDispositionInfoEx, &FILE_DISPOSITION_INFO_EX { Flags: flags }).is_ok() {
        return Ok(());
    }
    let moved = aside().and_then(|aside| rename(file, &aside, &format!("{REMOVED}{:016x}", random())));
    match (moved, delete(file)) {
        // Whoever unmaps it last deletes it.
        (Ok(()), _) => Ok(()),
        (Err(_), deleted) => deleted,
    }
}

/// What the names of files that have been moved aside start with.
pub(super) const REMOVED: &str = "removed.";

/// Deletes `file`, opened with the right to do so, when its last handle is closed.
pub(super) fn delete(file: &File) -> io::Result<()> {
    set(file, FileDispositionInfo, &FILE_DISPOSITION_INFO { DeleteFile: true })
}
