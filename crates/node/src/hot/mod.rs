//! Hot operations: no arguments, no results, everything in the command block. They are raw Node-API callbacks, because the glue that
//! napi-rs generates around a function costs as much as the operation itself (25 to 60 ns a call).
//!
//! `operations.rs` lists them all, with the words that their arguments go into. JavaScript calls them by name; the functions that
//! fill the words are generated from the same list, into `lib/native/generated/hot.ts`.

mod buffers;
mod queue;
mod request;
mod topic;
mod wait;

use crate::block::{Block, COUNT, MANAGER, REMAPS, STATUS, Status};
use crate::error::{Failure, guarded};
use crate::isolate::{Isolate, Parts, Scratch};
use crate::leases::LeaseTable;
use crate::session::Session;
use buffers::{allocate, nack, release, share};
use millrace::{Buffer, SharedBufferAllocator};
use napi::bindgen_prelude::Object;
use napi::{Env, JsValue, check_status, sys};
use napi_derive::napi;
use queue::{get, next, peek, put, receive, send};
use request::{cancel, claim, inspect};
use std::ptr;
use topic::publish;
use wait::{arm, disarm, ready};

type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// The callbacks, by name.
macro_rules! operations {
    ($($name:ident($($word:literal = $value:ident),*): $description:literal;)*) => {
        const OPERATIONS: &[(&str, Callback)] = &[$((stringify!($name), {
            unsafe extern "C" fn call(_: sys::napi_env, _: sys::napi_callback_info) -> sys::napi_value {
                operate($name);
                ptr::null_mut()
            }
            call
        })),*];
    };
}

include!("operations.rs");

/// The hot operations by name.
#[napi(ts_return_type = "Record<string, () => void>")]
pub fn hot_operations(env: &Env) -> napi::Result<Object<'_>> {
    let all = Object::new(env)?;
    for (operation, callback) in OPERATIONS {
        let (mut name, mut function) = (ptr::null_mut(), ptr::null_mut());
        let (text, bytes) = (operation.as_ptr().cast(), operation.len() as isize);
        // SAFETY: the text is valid for the call, and the value is written.
        check_status!(unsafe { sys::napi_create_string_utf8(env.raw(), text, bytes, &raw mut name) })?;
        // SAFETY: the callback touches neither of its arguments; the rest as above.
        check_status!(unsafe {
            sys::napi_create_function(
                env.raw(),
                text,
                bytes,
                Some(*callback),
                ptr::null_mut(),
                &raw mut function,
            )
        })?;
        // SAFETY: all belong to this env and this scope.
        check_status!(unsafe { sys::napi_set_property(env.raw(), all.raw(), name, function) })?;
    }
    Ok(all)
}

/// How an operation ends.
pub(crate) type Outcome = Result<Status, Failure>;

/// Runs an operation on the session that the block names and leaves its status there.
#[inline]
fn operate(f: impl FnOnce(&mut Block<'_>, &mut Scratch, &mut Session) -> Outcome) {
    Isolate::with(|isolate| {
        let Some(Parts { mut block, scratch, sessions, error }) = isolate.parts() else { return };
        let session = sessions.get_mut(block.get(MANAGER) as usize).and_then(Option::as_mut);
        let run = |session: &mut Session| {
            let outcome = f(&mut block, scratch, session);
            if session.has_remapped() {
                // This operation may have gone by a detour: the next does not.
                session.handles.drop_ended();
                block.set(REMAPS, block.get(REMAPS).wrapping_add(1));
            }
            outcome
        };
        let status = match guarded(|| session.map(run)) {
            Ok(Some(Ok(status) | Err(Failure::Status(status)))) => status,
            Ok(None) => {
                block.set(COUNT, 0);
                Status::ManagerClosed
            }
            Ok(Some(Err(Failure::Error(failure)))) | Err(failure) => {
                *error = Some(failure);
                Status::Error
            }
        };
        block.set(STATUS, status as u32);
    });
}

/// Moves `count` buffers to where `send` moves them, which says how many were accepted: that becomes COUNT. Leased ones are acknowledged.
fn send_named<T>(
    block: &mut Block<'_>,
    scratch: &mut [Buffer],
    (allocator, leases): (&SharedBufferAllocator, &mut LeaseTable),
    count: usize,
    send: impl FnOnce(&[Buffer]) -> (usize, T),
) -> Result<T, Failure> {
    let buffers = block.buffers(count, scratch);
    allocator.share_for_send(buffers, |index| block.is_leased(index))?;
    let (accepted, outcome) = send(buffers);
    block.set(COUNT, accepted as u32);
    allocator.release_unsent(buffers, accepted, |index| block.is_leased(index));
    for index in (0..accepted).filter(|index| block.is_leased(*index)) {
        leases.acknowledge(block.lease(index), buffers[index].id);
        allocator.release(buffers[index])?;
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn operations_have_names_of_their_own() {
        let names: HashSet<_> = OPERATIONS.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), OPERATIONS.len());
    }
}
