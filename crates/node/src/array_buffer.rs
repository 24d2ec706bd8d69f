//! Where shared memory becomes a JavaScript ArrayBuffer.
//!
//! # Lifetime
//!
//! JavaScript can keep a view as long as it likes, and while a request is under way the system, or a thread of the runtime, reads and
//! writes through its address. So memory behind a view must stay mapped until nothing can reach it any more:
//!
//! - When a manager closes, [`retire`] replaces its mappings by private zero pages, in one step of the kernel. The shared memory is let
//!   go at once, the address range stays. A late access reads zeros, or writes what nobody else sees; it never faults and never meets
//!   memory that has become somebody else's.
//! - The range itself is kept by the ArrayBuffers over it. Each holds the segment twice: the *object* until it has been collected, and
//!   its *memory* until the runtime has let go of it. The last holder unmaps the range.
//!
//! Why that is enough:
//!
//! - A pending request (`fs`, zlib, crypto, a socket's write, the `onread` buffer of a socket, asynchronous work of other addons) has
//!   the address, and keeps the JavaScript object reachable until it is done. It does not keep the object's memory: who detaches an
//!   ArrayBuffer (guard mode does, at each release) under a pending request frees the memory, but not the object.
//! - `transfer()` and `structuredClone(…, { transfer })` move the memory into another object and detach the first. The memory is held
//!   until that other object has been collected.
//! - The end of an environment (of a worker, or of the process) first waits for its pending requests, then runs finalizers although
//!   the objects exist: no JavaScript of it runs any more. But memory that `transfer()` took over may have gone to another isolate and
//!   be in use there, and nothing tells us by then: where the runtime has `transfer()`, the range of an environment that ends stays
//!   reserved, without any memory behind it.
//! - Transfer lists cannot take these ArrayBuffers: the runtime marks external ones as untransferable.
//! - Each participant maps a segment for itself, so nothing here concerns the mappings of others, in this process or elsewhere.
//! - At the exit of the process nothing is unmapped: see `Isolate`.

use crate::copies::existing;
use crate::error::{Result, from_napi};
use crate::isolate;
use millrace::SegmentView;
use napi::{check_status, sys};
use std::ffi::{CStr, c_void};
use std::ptr;
use std::rc::Rc;

/// What keeps a range mapped for one ArrayBuffer: its object and its memory have a share each, as a raw `Rc`.
#[derive(Debug)]
struct Holder {
    _range: SegmentView,
    /// Whether `ArrayBuffer.prototype.transfer` exists: then the memory may outlive the environment.
    movable: bool,
    /// Whether finalizers of memory run in a handle scope, and so may ask the runtime for something.
    scoped: bool,
}

/// The memory of an ArrayBuffer has been let go: nobody can reach the range through it.
unsafe extern "C" fn memory_freed(env: sys::napi_env, _: *mut c_void, holder: *mut c_void) {
    // SAFETY: the share that `cover` gave to this callback, which runs once, on the thread of the environment.
    let holder = unsafe { Rc::from_raw(holder.cast::<Holder>().cast_const()) };
    if holder.movable && (isolate::has_ended() || holder.scoped && is_ending(env)) {
        std::mem::forget(holder);
    }
}

/// The object has been collected: no pending request has the address.
unsafe extern "C" fn object_collected(_: sys::napi_env, holder: *mut c_void, _: *mut c_void) {
    // SAFETY: as in `memory_freed`.
    drop(unsafe { Rc::from_raw(holder.cast::<Holder>().cast_const()) });
}

/// Whether the environment runs no JavaScript any more. Node.js calls finalizers of the memory before our hook, so the runtime is asked.
fn is_ending(env: sys::napi_env) -> bool {
    let (mut global, mut found) = (ptr::null_mut(), false);
    // SAFETY: a finalizer runs in a handle scope; out-parameters of the right types.
    let known = unsafe { sys::napi_get_global(env, &raw mut global) } == sys::Status::napi_ok;
    // SAFETY: as above. What looks up a property could run JavaScript, and fails when none may run.
    !known
        || unsafe { sys::napi_has_named_property(env, global, c"Object".as_ptr(), &raw mut found) }
            != sys::Status::napi_ok
}

/// Whether this is Deno, which ends the process where a finalizer of memory makes a handle: the collector calls it outside of any scope. It
/// calls those that are left at the end of the environment after our hook.
fn is_deno(env: sys::napi_env) -> napi::Result<bool> {
    let mut version = ptr::null();
    // SAFETY: env is that of the current call, an out-parameter of the right type.
    check_status!(unsafe { sys::napi_get_node_version(env, &raw mut version) })?;
    // SAFETY: the runtime wrote the address of a constant of its own.
    let release = unsafe { (*version).release };
    // SAFETY: it ends with a zero.
    Ok(unsafe { CStr::from_ptr(release) } == c"Deno")
}

/// An ArrayBuffer over `bytes` bytes at `start`, which lie in the segment of `view`.
fn cover(
    env: sys::napi_env,
    view: &SegmentView,
    start: *mut u8,
    bytes: usize,
) -> napi::Result<sys::napi_value> {
    let (mut movable, mut data) = (true, ptr::null_mut());
    let (mut any, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: env is that of the current call, out-parameters of the right types.
    check_status!(unsafe { sys::napi_create_arraybuffer(env, 0, &raw mut data, &raw mut any) })?;
    // SAFETY: as above, and a terminated name.
    check_status!(unsafe { sys::napi_has_named_property(env, any, c"transfer".as_ptr(), &raw mut movable) })?;
    let holder = Rc::new(Holder { _range: view.clone(), movable, scoped: !is_deno(env)? });
    let share = || Rc::into_raw(Rc::clone(&holder)).cast_mut().cast::<c_void>();
    // SAFETY: takes a share back that no callback will ever get.
    let take_back = |share: *mut c_void| drop(unsafe { Rc::from_raw(share.cast::<Holder>().cast_const()) });
    let of_memory = share();
    // SAFETY: the range stays mapped until `memory_freed` has dropped its share.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(
            env,
            start.cast(),
            bytes,
            Some(memory_freed),
            of_memory,
            &raw mut value,
        )
    };
    if status != sys::Status::napi_ok {
        take_back(of_memory);
    }
    check_status!(status)?;
    let of_object = share();
    // SAFETY: the value is the object just made; its share is dropped by the callback.
    let status = unsafe {
        sys::napi_add_finalizer(
            env,
            value,
            of_object,
            Some(object_collected),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if status != sys::Status::napi_ok {
        take_back(of_object);
    }
    check_status!(status)?;
    Ok(value)
}

/// ArrayBuffers over all payloads and over all headers of a segment.
pub(crate) fn of_segment(
    env: sys::napi_env,
    view: &SegmentView,
) -> Result<(sys::napi_value, sys::napi_value)> {
    let headers = view.count * millrace::header_field::BYTES;
    let both = cover(env, view, view.payload, view.payload_bytes())
        .and_then(|payload| Ok((payload, cover(env, view, view.headers, headers)?)));
    both.map_err(|e| from_napi(&e))
}

/// An ArrayBuffer of its own over the payload of message `id`.
pub(crate) fn of_message(env: sys::napi_env, view: &SegmentView, id: u32) -> Result<sys::napi_value> {
    let (start, bytes) = existing(view, id, view.content(id))?;
    cover(env, view, start, bytes).map_err(|e| from_napi(&e))
}

/// Empties every view of an ArrayBuffer made by [`of_message`].
pub(crate) fn detach(env: sys::napi_env, value: sys::napi_value) -> Result<()> {
    // SAFETY: the runtime checks that the value is an ArrayBuffer.
    match unsafe { sys::napi_detach_arraybuffer(env, value) } {
        sys::Status::napi_ok => Ok(()),
        status => Err(from_napi(&napi::Error::from_status(status.into()))),
    }
}

/// Ends the access of JavaScript to segments whose participant has left its domain: whoever has an address of them reads zeros from
/// now on.
pub(crate) fn retire<'a>(views: impl IntoIterator<Item = &'a SegmentView>) {
    for view in views {
        // SAFETY: the participant has left and its ends are gone, so only ArrayBuffers refer to the segment, byte by byte.
        unsafe { view.retire() };
    }
}
