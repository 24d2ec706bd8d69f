//! Doorbells: named events that reset themselves when somebody has been woken. The name, which nobody can foresee, is in a file of the
//! domain's directory. So the doorbell of a slot stays the same, whoever its tenant is, and a death on either side changes nothing.
//!
//! No event loop sleeps on an event. So the one of this participant gets a pipe: a thread of the system's pool waits for the event, and
//! puts a byte into the pipe. (Others could write into the pipe themselves, with a handle duplicated out of this process: that would save
//! them a hop between threads, but they would have to find the pipe again with each tenant, and have the right to all handles of it.)

use super::{done, owned, security, wide};
use crate::error::{Error, Result};
use crate::os::{LoopAddress, random};
use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle, RawHandle};
use std::ptr::null_mut;
use std::sync::{Mutex, Once, PoisonError};
use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_FIRST_PIPE_INSTANCE, PIPE_ACCESS_OUTBOUND, WriteFile,
};
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, PIPE_NOWAIT, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE,
};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, RegisterWaitForSingleObject, ResetEvent, SetEvent, UnregisterWaitEx,
    WT_EXECUTEINWAITTHREAD,
};

/// One end of a doorbell.
#[derive(Debug)]
pub(crate) struct Doorbell {
    event: OwnedHandle,
    /// What our event loop sleeps on, once it has asked for it.
    pipe: Mutex<Option<LoopPipe>>,
}

/// In every session of the user, and of no other user.
const PREFIX: &str = r"Global\millrace.";

impl Doorbell {
    /// A name for a new one.
    pub(super) fn new_name() -> String {
        format!("{PREFIX}{:016x}", random())
    }

    pub(super) fn is_name(text: &str) -> bool {
        let number = text.strip_prefix(PREFIX);
        number.is_some_and(|number| number.len() == 16 && number.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    /// The doorbell of that name, which is there as long as anybody has it open.
    pub(super) fn open(name: &str) -> io::Result<Self> {
        pin_image();
        let attributes = security::private_object()?.attributes();
        let name = wide(name);
        // SAFETY: attributes and a terminated name, which live through the call.
        let event = owned(unsafe { CreateEventW(&raw const attributes, 0, 0, name.as_ptr()) })?;
        Ok(Self { event, pipe: Mutex::default() })
    }

    /// Wakes whoever sleeps on it, or will next. One that is set already is as good.
    pub(crate) fn notify(&self) {
        // SAFETY: an open handle of an event.
        unsafe { SetEvent(self.event.as_raw_handle()) };
    }

    /// Forgets that it has been set.
    pub(crate) fn drain(&self) {
        // SAFETY: an open handle of an event.
        unsafe { ResetEvent(self.event.as_raw_handle()) };
    }

    /// What an event loop reads it by. Who has asked last is the one that hears it.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn loop_end(&self) -> Result<LoopEnd> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        // First: it would go on to hear half of it.
        *pipe = None;
        let name = format!(r"\\.\pipe\millrace.{:016x}", random());
        let made = LoopPipe::open(&name, self.as_raw_handle());
        *pipe = Some(made.map_err(|e| Error::io("cannot make a pipe for the doorbell", e))?);
        Ok(LoopEnd(name))
    }

    pub(super) fn as_raw_handle(&self) -> HANDLE {
        self.event.as_raw_handle()
    }
}

/// The other end of a doorbell as an event loop takes it: the path of a pipe, which there is as long as the participant.
#[derive(Debug)]
pub struct LoopEnd(String);

impl LoopEnd {
    /// The path.
    pub fn release(self) -> LoopAddress {
        LoopAddress::Pipe(self.0)
    }
}

/// Our end of the pipe, and the wait for the event.
#[derive(Debug)]
struct LoopPipe {
    wait: RawHandle,
    /// Closed after the end of the wait.
    _pipe: OwnedHandle,
}

// SAFETY: the wait is ended by whoever drops it; any thread may.
unsafe impl Send for LoopPipe {}

impl LoopPipe {
    fn open(name: &str, event: HANDLE) -> io::Result<Self> {
        let (attributes, name) = (security::private_object()?.attributes(), wide(name));
        // SAFETY: a terminated name and attributes, which live through the call.
        let pipe = owned(unsafe {
            CreateNamedPipeW(
                name.as_ptr(),
                PIPE_ACCESS_OUTBOUND | FILE_FLAG_FIRST_PIPE_INSTANCE,
                // A full one is readable already: nobody has to wait for room.
                PIPE_TYPE_BYTE | PIPE_NOWAIT | PIPE_REJECT_REMOTE_CLIENTS,
                1,
                64,
                64,
                0,
                &raw const attributes,
            )
        })?;
        let (mut wait, context) = (null_mut(), pipe.as_raw_handle());
        // SAFETY: an out-parameter of the right type; event and pipe are closed after the wait has ended, see `drop`.
        done(unsafe {
            RegisterWaitForSingleObject(
                &raw mut wait,
                event,
                Some(put_byte),
                context,
                INFINITE,
                WT_EXECUTEINWAITTHREAD,
            )
        })?;
        Ok(Self { wait, _pipe: pipe })
    }
}

impl Drop for LoopPipe {
    fn drop(&mut self) {
        // SAFETY: our wait, which nobody else ends; it has ended when the call returns.
        unsafe { UnregisterWaitEx(self.wait, INVALID_HANDLE_VALUE) };
    }
}

/// Puts a byte into `pipe`. What is put in before the event loop has connected is lost: it looks by itself then.
unsafe extern "system" fn put_byte(pipe: *mut c_void, _timed_out: bool) {
    let mut written = 0;
    // SAFETY: the pipe is open until the wait has ended, and so this call; a byte and an out-parameter that live through it.
    unsafe { WriteFile(pipe, [1_u8].as_ptr(), 1, &raw mut written, null_mut()) };
}

/// Keeps this library where it is for good: a runtime may want to unload it while a thread of ours still returns from it.
fn pin_image() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let flags = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
        let (mut module, inside) = (null_mut(), pin_image as fn() as *const u16);
        // SAFETY: an address of this library instead of a name, as the flag says, and an out-parameter of the right type.
        unsafe { GetModuleHandleExW(flags, inside, &raw mut module) };
    });
}
