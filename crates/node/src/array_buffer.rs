//! Where shared memory becomes a JavaScript ArrayBuffer.
//!
//! # Lifetime
//!
//! JavaScript can keep a view as long as it likes, so memory behind a view must stay mapped until nothing can reach it. Each segment
//! therefore has a [`Mapping`] that is shared by its ArrayBuffers' finalizers. When the manager closes, the ArrayBuffers it made are
//! detached, which cuts off every view of them, and the memory is unmapped at once. What cannot be cut off (a SharedArrayBuffer, or
//! an ArrayBuffer that user code took over with `transfer()`) keeps the address range, but not the shared memory: the range is replaced by
//! private zero pages until the finalizer runs. So a late access reads zeros; it never faults and never touches anybody's data.

use crate::error::{Result, from_napi};
use millrace::{ErrorKind, SegmentView};
use napi::{check_status, sys};
use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What keeps a segment mapped.
type Shared = Arc<Mutex<Option<SegmentView>>>;

/// What a finalizer drops: its share in the segment, and for a guard view the sign that there is one.
type Hint = (Shared, Option<Arc<()>>);

/// The ArrayBuffers over one segment.
#[derive(Debug)]
pub(crate) struct Mapping {
    shared: Shared,
    /// One more holder per guard view that exists.
    guards: Arc<()>,
    payload: Handle,
    headers: Handle,
}

/// A strong reference to an ArrayBuffer, and how to cut it off.
#[derive(Debug)]
struct Handle {
    reference: sys::napi_ref,
    detachable: bool,
}

// SAFETY (of every finalizer below): `hint` is the `Box<Hint>` leaked by `create`, and a finalizer runs once.
unsafe extern "C" fn finalize(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    // SAFETY: see above.
    drop(unsafe { Box::from_raw(hint.cast::<Hint>()) });
}

unsafe extern "C" fn finalize_anywhere(_data: *mut c_void, hint: *mut c_void) {
    // SAFETY: see above; a `Hint` may be dropped on any thread.
    drop(unsafe { Box::from_raw(hint.cast::<Hint>()) });
}

type CreateShared = unsafe extern "C" fn(
    sys::napi_env,
    *mut c_void,
    usize,
    unsafe extern "C" fn(*mut c_void, *mut c_void),
    *mut c_void,
    *mut sys::napi_value,
) -> sys::napi_status;

/// `node_api_create_external_sharedarraybuffer`, where the runtime has it.
fn create_shared() -> Option<CreateShared> {
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, name: *const std::ffi::c_char) -> *mut c_void;
    }
    #[cfg(target_vendor = "apple")]
    const DEFAULT: isize = -2;
    #[cfg(not(target_vendor = "apple"))]
    const DEFAULT: isize = 0;
    static FOUND: OnceLock<Option<CreateShared>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let name = c"node_api_create_external_sharedarraybuffer";
        // SAFETY: the default handle and a terminated name.
        let symbol = unsafe { dlsym(DEFAULT as *mut c_void, name.as_ptr()) };
        // SAFETY: null is None; else it is the function of that name, whose signature Node documents as above.
        unsafe { std::mem::transmute::<*mut c_void, Option<CreateShared>>(symbol) }
    })
}

/// Whether segments are SharedArrayBuffers here.
pub(crate) fn has_shared() -> bool {
    create_shared().is_some()
}

/// An ArrayBuffer over `bytes` bytes at `start`, which lie in the mapping behind `hint`.
fn create(env: sys::napi_env, hint: Hint, start: *mut u8, bytes: usize) -> napi::Result<sys::napi_value> {
    let hint = Box::into_raw(Box::new(hint)).cast();
    let mut value = ptr::null_mut();
    // SAFETY: env is that of the current call, the range stays mapped until `finalize` has dropped the hint.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(env, start.cast(), bytes, Some(finalize), hint, &raw mut value)
    };
    if status != sys::Status::napi_ok {
        // SAFETY: the runtime refused, so it will not run the finalizer.
        drop(unsafe { Box::from_raw(hint.cast::<Hint>()) });
    }
    check_status!(status, "this runtime does not allow external ArrayBuffers")?;
    Ok(value)
}

impl Handle {
    /// The segment-wide buffer: a SharedArrayBuffer where there are external ones.
    fn new(env: sys::napi_env, shared: &Shared, start: *mut u8, bytes: usize) -> napi::Result<Self> {
        let Some(create_shared) = create_shared() else {
            return Self::keep(env, create(env, (Arc::clone(shared), None), start, bytes)?, true);
        };
        let hint = Box::into_raw(Box::new((Arc::clone(shared), None::<Arc<()>>))).cast();
        let mut value = ptr::null_mut();
        // SAFETY: as in `create`.
        let status =
            unsafe { create_shared(env, start.cast(), bytes, finalize_anywhere, hint, &raw mut value) };
        if status != sys::Status::napi_ok {
            // SAFETY: refused, so the finalizer will not run.
            drop(unsafe { Box::from_raw(hint.cast::<Hint>()) });
        }
        check_status!(status, "this runtime does not allow external SharedArrayBuffers")?;
        Self::keep(env, value, false)
    }

    fn keep(env: sys::napi_env, value: sys::napi_value, detachable: bool) -> napi::Result<Self> {
        let mut reference = ptr::null_mut();
        // SAFETY: value is an object of the current scope.
        check_status!(unsafe { sys::napi_create_reference(env, value, 1, &raw mut reference) })?;
        Ok(Self { reference, detachable })
    }

    fn value(&self, env: sys::napi_env) -> napi::Result<sys::napi_value> {
        let mut value = ptr::null_mut();
        // SAFETY: the reference is strong and ours.
        check_status!(unsafe { sys::napi_get_reference_value(env, self.reference, &raw mut value) })?;
        Ok(value)
    }

    fn is_detached(&self, env: sys::napi_env) -> napi::Result<bool> {
        let mut detached = false;
        let value = self.value(env)?;
        if self.detachable {
            // SAFETY: value is an ArrayBuffer.
            check_status!(unsafe { sys::napi_is_detached_arraybuffer(env, value, &raw mut detached) })?;
        }
        Ok(detached)
    }

    /// Cuts off every view; `false`: somebody else has the memory.
    fn cut(self, env: sys::napi_env) -> bool {
        let ours = self.detachable && !self.is_detached(env).unwrap_or(true);
        let done = ours && self.value(env).is_ok_and(|value| detach(env, value).is_ok());
        // SAFETY: the reference is ours and not used after this.
        unsafe { sys::napi_delete_reference(env, self.reference) };
        done
    }
}

fn detach(env: sys::napi_env, value: sys::napi_value) -> napi::Result<()> {
    // SAFETY: value is an ArrayBuffer.
    check_status!(unsafe { sys::napi_detach_arraybuffer(env, value) })
}

impl Mapping {
    pub(crate) fn new(env: sys::napi_env, view: SegmentView) -> Result<Self> {
        let (payload, headers) = (view.payload, view.headers);
        let (payload_bytes, headers_bytes) =
            (view.payload_bytes(), view.count * millrace::header_field::BYTES);
        let shared = Arc::new(Mutex::new(Some(view)));
        let make = |start, bytes| Handle::new(env, &shared, start, bytes).map_err(|e| from_napi(&e));
        let guards = Arc::new(());
        Ok(Self {
            payload: make(payload, payload_bytes)?,
            headers: make(headers, headers_bytes)?,
            guards,
            shared,
        })
    }

    /// The payload and header buffers; made again if user code has detached one.
    pub(crate) fn values(&mut self, env: sys::napi_env) -> Result<(sys::napi_value, sys::napi_value)> {
        let view = self.view()?;
        let renew = |handle: &mut Handle, start, bytes| {
            if handle.is_detached(env)? {
                let old = std::mem::replace(handle, Handle::new(env, &self.shared, start, bytes)?);
                old.cut(env);
            }
            handle.value(env)
        };
        let payload =
            renew(&mut self.payload, view.payload, view.payload_bytes()).map_err(|e| from_napi(&e))?;
        let headers = renew(&mut self.headers, view.headers, view.count * millrace::header_field::BYTES);
        Ok((payload, headers.map_err(|e| from_napi(&e))?))
    }

    /// The segment.
    pub(crate) fn view(&self) -> Result<SegmentView> {
        let view = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        view.clone().ok_or_else(crate::error::closed)
    }

    /// An ArrayBuffer of its own over the payload of message `id`.
    pub(crate) fn guard(&self, env: sys::napi_env, id: u32) -> Result<sys::napi_value> {
        let Some((start, bytes)) = self.view()?.content(id) else {
            let message = format!("there is no buffer {id}");
            return Err(napi::Error::new(ErrorKind::InvalidArgument.code(), message));
        };
        create(env, (Arc::clone(&self.shared), Some(Arc::clone(&self.guards))), start, bytes)
            .map_err(|e| from_napi(&e))
    }

    /// Ends the access of JavaScript to the segment. The participant has left its domain.
    pub(crate) fn close(self, env: sys::napi_env) {
        let cut = self.payload.cut(env) & self.headers.cut(env);
        let mut view = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        // The two buffers are cut off, and there is no guard view: nothing can reach the memory.
        if cut && Arc::strong_count(&self.guards) == 1 {
            *view = None;
        } else if let Some(view) = view.as_ref() {
            // SAFETY: the participant has left, so only JavaScript views refer to the segment, byte by byte.
            unsafe { view.retire() };
        }
    }

    /// Ends the access of JavaScript to the segment, whoever still has a buffer of it. The participant has left its domain.
    pub(crate) fn retire(&self) {
        if let Some(view) = self.shared.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            // SAFETY: as in `close`.
            unsafe { view.retire() };
        }
    }
}

/// Detaches a guard view.
pub(crate) fn detach_guard(env: sys::napi_env, value: sys::napi_value) -> Result<()> {
    detach(env, value).map_err(|e| from_napi(&e))
}
