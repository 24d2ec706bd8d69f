//! Messages where the runtime has no external ArrayBuffers, so that JavaScript cannot see shared memory: it works on copies, and reads and
//! writes headers word by word.

use crate::error::{Result, from_napi};
use crate::manager::BindingManager;
use millrace::{ErrorKind, SegmentView, header_field};
use napi::bindgen_prelude::Unknown;
use napi::{Env, check_status, sys};
use napi_derive::napi;
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

const LENGTH_WORD: usize = header_field::LENGTH / size_of::<u32>();

/// When it is 0, this runtime is taken for one that has no external ArrayBuffers.
const EXTERNAL_BUFFERS: &str = "MILLRACE_EXTERNAL_BUFFERS";

thread_local! {
    static COPIES: Cell<bool> = const { Cell::new(false) };
}

/// Whether messages of this isolate are copied, as [`copies_messages`] has found.
pub(crate) fn are_in_use() -> bool {
    COPIES.get()
}

/// Whether JavaScript gets copies of messages, since this runtime has no external ArrayBuffers. Those that keep all memory of JavaScript in
/// one cage, as Electron does, have none.
#[napi]
pub fn copies_messages(env: &Env) -> bool {
    let copies =
        std::env::var_os(EXTERNAL_BUFFERS).is_some_and(|value| value == "0") || refuses_external(env.raw());
    COPIES.set(copies);
    copies
}

fn refuses_external(env: sys::napi_env) -> bool {
    unsafe extern "C" fn free(_: sys::napi_env, _: *mut c_void, probe: *mut c_void) {
        // SAFETY: made below by `Box::into_raw`, and freed once: by the runtime if it took it, else by us.
        drop(unsafe { Box::from_raw(probe.cast::<u64>()) });
    }
    let (probe, mut value) = (Box::into_raw(Box::new(0_u64)).cast::<c_void>(), ptr::null_mut());
    let bytes = size_of::<u64>();
    // SAFETY: env is that of the current call, the memory stays until `free`, an out-parameter of the right type.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(env, probe, bytes, Some(free), probe, &raw mut value)
    };
    if status != sys::Status::napi_ok {
        // SAFETY: the runtime has not taken it.
        unsafe { free(env, ptr::null_mut(), probe) };
    }
    status == sys::Status::napi_no_external_buffers_allowed
}

/// An ArrayBuffer with room for what message `id` has room for, and a copy of its bytes in use.
pub(crate) fn of_message(env: sys::napi_env, view: &SegmentView, id: u32) -> Result<sys::napi_value> {
    let (_, capacity) = existing(view, id, view.content(id))?;
    let words = existing(view, id, view.header(id))?;
    // Untrusted: another holder may have written nonsense.
    let length = (words[LENGTH_WORD].load(Ordering::Relaxed) as usize).min(capacity);
    let (value, data) = zeroed(env, capacity).map_err(|e| from_napi(&e))?;
    if length > 0 {
        // SAFETY: the runtime has just given at least so many bytes, and nobody else knows of them.
        let into = unsafe { std::slice::from_raw_parts_mut(data, length) };
        view.read(id, into);
    }
    Ok(value)
}

/// A new ArrayBuffer, and its first byte.
fn zeroed(env: sys::napi_env, bytes: usize) -> napi::Result<(sys::napi_value, *mut u8)> {
    let (mut data, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: env is that of the current call, out-parameters of the right types.
    check_status!(unsafe { sys::napi_create_arraybuffer(env, bytes, &raw mut data, &raw mut value) })?;
    Ok((value, data.cast()))
}

/// What was looked for in message `id`.
pub(crate) fn existing<T>(view: &SegmentView, id: u32, found: Option<T>) -> Result<T> {
    found.ok_or_else(|| {
        let message = format!("there is no buffer {id} in its segment, which has {}", view.count);
        napi::Error::new(ErrorKind::InvalidArgument.code(), message)
    })
}

#[napi]
impl BindingManager {
    /// Word `word` of the header of message `id`.
    #[napi(catch_unwind)]
    pub fn header_word(&self, id: u32, word: u32) -> Result<u32> {
        // Relaxed, here and below: as plain accesses of JavaScript. The queue that hands the message over orders them.
        self.with_word(id, word, |word| word.load(Ordering::Relaxed))
    }

    /// Sets word `word` of the header of message `id`.
    #[napi(catch_unwind)]
    pub fn set_header_word(&self, id: u32, word: u32, value: u32) -> Result<()> {
        self.with_word(id, word, |word| word.store(value, Ordering::Relaxed))
    }

    fn with_word<T>(&self, id: u32, word: u32, f: impl FnOnce(&AtomicU32) -> T) -> Result<T> {
        let view = self.segment_of(id)?;
        let words = existing(&view, id, view.header(id))?;
        existing(&view, id, words.get(word as usize).map(f))
    }

    /// Bytes that message `id` has room for.
    #[napi(catch_unwind)]
    pub fn message_capacity(&self, id: u32) -> Result<u32> {
        let view = self.segment_of(id)?;
        existing(&view, id, view.content(id)).map(|(_, capacity)| capacity as u32)
    }

    /// Makes `bytes` those of message `id`, from its first on, as many as it has room for.
    #[napi(catch_unwind)]
    pub fn write_message(&self, id: u32, bytes: &[u8]) -> Result<()> {
        let view = self.segment_of(id)?;
        existing(&view, id, view.write(id, bytes))
    }

    /// An ArrayBuffer of its own over the payload of message `id`, or with a copy of it.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer")]
    pub fn own_view<'env>(&self, env: &'env Env, id: u32) -> Result<Unknown<'env>> {
        let raw = env.raw();
        let view = self.segment_of(id)?;
        let make = if are_in_use() { of_message } else { crate::array_buffer::of_message };
        let value = make(raw, &view, id)?;
        // SAFETY: the value belongs to this env and this scope.
        Ok(unsafe { Unknown::from_raw_unchecked(raw, value) })
    }
}
