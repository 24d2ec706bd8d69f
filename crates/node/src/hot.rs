//! Hot operations: no arguments, no results, everything in the command block. They are raw Node-API callbacks, because the glue that
//! napi-rs generates around a function costs as much as the operation itself (25 to 60 ns a call).

use crate::block::{BATCH_MAX, BYTES, Block, COUNT, KIND, MANAGER, NEWS, QUEUE, RECEIVED, STATUS, Status};
use crate::ends::Leases;
use crate::services::{cancel, claim, inspect};
use crate::session::{Isolate, Parts, Scratch, Session};
use crate::topics::publish;
use millrace::{Buffer, Delivery, ErrorKind, PutOutcome, SendOutcome, Settle, TakeOutcome};
use napi::bindgen_prelude::Object;
use napi::{Env, JsValue, check_status, sys};
use napi_derive::napi;
use std::any::Any;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// Names of the hot operations, and what JavaScript calls.
macro_rules! operations {
    ($($operation:ident),* $(,)?) => {
        [$((
            {
                const NAME: &CStr = match CStr::from_bytes_with_nul(concat!(stringify!($operation), "\0").as_bytes()) {
                    Ok(name) => name,
                    Err(_) => panic!("an identifier has no zero in it"),
                };
                NAME
            },
            {
                unsafe extern "C" fn call(_: sys::napi_env, _: sys::napi_callback_info) -> sys::napi_value {
                    $operation();
                    ptr::null_mut()
                }
                call as unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value
            },
        )),*]
    };
}

/// The hot operations by name.
#[napi(
    ts_return_type = "Record<'allocate' | 'arm' | 'cancel' | 'claim' | 'disarm' | 'get' | 'inspect' | 'nack' | 'next' | 'peek' | 'publish' | 'put' | 'ready' | 'receive' | 'release' | 'send' | 'share', () => void>"
)]
pub fn hot_operations(env: &Env) -> napi::Result<Object<'_>> {
    let all = Object::new(env)?;
    for (name, call) in operations![
        allocate, arm, cancel, claim, disarm, get, inspect, nack, next, peek, publish, put, ready, receive,
        release, send, share
    ] {
        let mut value = ptr::null_mut();
        let (text, bytes) = (name.as_ptr(), name.count_bytes() as isize);
        // SAFETY: `call` is a callback that touches neither of its arguments, the name is valid for the call, and the value is written.
        check_status!(unsafe {
            sys::napi_create_function(env.raw(), text, bytes, Some(call), ptr::null_mut(), &raw mut value)
        })?;
        // SAFETY: both belong to this env and this scope.
        check_status!(unsafe { sys::napi_set_named_property(env.raw(), all.raw(), text, value) })?;
    }
    Ok(all)
}

/// Runs an operation on the session that the block names and leaves its status there.
#[inline]
pub(crate) fn operate(
    f: impl FnOnce(&mut Block<'_>, &mut Scratch, &mut Session) -> millrace::Result<Status>,
) {
    Isolate::with(|isolate| {
        let Some(Parts { mut block, scratch, sessions, error }) = isolate.parts() else { return };
        let session = sessions.get_mut(block.get(MANAGER) as usize).and_then(Option::as_mut);
        // A panic must not unwind into the runtime; as an error it is at least seen.
        let outcome =
            catch_unwind(AssertUnwindSafe(|| session.map(|session| f(&mut block, scratch, session))));
        let status = match outcome.unwrap_or_else(|panic| Some(Err(defect(&*panic)))) {
            None => {
                block.set(COUNT, 0);
                Status::ManagerClosed
            }
            Some(Ok(status)) => status,
            Some(Err(e)) => match e.kind() {
                ErrorKind::NotHeld => Status::NotHeld,
                ErrorKind::TooLarge => Status::TooLarge,
                _ => {
                    *error = Some(e);
                    Status::Error
                }
            },
        };
        block.set(STATUS, status as u32);
    });
}

#[cold]
fn defect(panic: &(dyn Any + Send)) -> millrace::Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = format!("a defect of millrace: {}", text.unwrap_or("panic without a message"));
    millrace::Error::new(ErrorKind::Corrupt, message)
}

/// Allocates COUNT buffers of BYTES bytes.
fn allocate() {
    operate(|block, scratch, session| {
        let (wanted, bytes) = (block.count(), block.get(BYTES) as usize);
        block.set(COUNT, 0);
        let ids = &mut scratch.ids[..wanted];
        let got = session.allocator.allocate_ids(bytes, ids)?;
        for (index, id) in ids[..got].iter().enumerate() {
            block.describe(index, *id, 0, 0, 1);
        }
        block.set(COUNT, got as u32);
        Ok(if got > 0 { Status::Ok } else { Status::Exhausted })
    });
}

/// Moves COUNT buffers into QUEUE. Leased ones are acknowledged.
fn send() {
    operate(|block, scratch, session| {
        let Session { manager, allocator, ends, leases, .. } = session;
        let count = block.count();
        block.set(COUNT, 0);
        let queue = match ends.get(manager, block.get(QUEUE))? {
            Ok(queue) => queue,
            Err(status) => return Ok(status),
        };
        let buffers = &mut scratch.buffers[..count];
        for (index, buffer) in buffers.iter_mut().enumerate() {
            *buffer = block.buffer(index);
            // A lease must not outlive the reference it stands for: what is sent is a further one.
            if block.is_leased(index) {
                match allocator.share(*buffer) {
                    Ok(shared) => *buffer = shared,
                    Err(e) => {
                        let shared = (0..index).filter(|at| block.is_leased(*at)).map(|at| block.buffer(at));
                        allocator.release_all(shared).1?;
                        return Err(e);
                    }
                }
            }
        }
        let (accepted, outcome) = queue.send(buffers);
        for (index, shared) in buffers.iter().enumerate().filter(|(index, _)| block.is_leased(*index)) {
            if index < accepted {
                acknowledge(leases, block.lease(index), shared.id);
                allocator.release(block.buffer(index))?;
            } else {
                allocator.release(*shared)?;
            }
        }
        block.set(COUNT, accepted as u32);
        Ok(sent(outcome?))
    });
}

/// Copies COUNT messages from the stage into QUEUE.
fn put() {
    operate(|block, _, session| {
        let Session { manager, ends, .. } = session;
        let queue = match ends.get(manager, block.get(QUEUE)) {
            Ok(Ok(queue)) => queue,
            other => {
                block.set(COUNT, 0);
                return other.map(|queue| queue.err().unwrap_or(Status::NotFound));
            }
        };
        let (accepted, outcome) = queue.put(block.staged());
        block.set(COUNT, accepted as u32);
        Ok(match outcome? {
            PutOutcome::Done => Status::Ok,
            PutOutcome::Refused(outcome) => sent(outcome),
            PutOutcome::Exhausted => Status::Exhausted,
        })
    });
}

fn sent(outcome: SendOutcome) -> Status {
    match outcome {
        SendOutcome::Done => Status::Ok,
        SendOutcome::Full => Status::Full,
        SendOutcome::Closed => Status::Closed,
        SendOutcome::Destroyed => Status::Destroyed,
    }
}

/// Ends a lease for good, if there is one.
#[inline]
pub(crate) fn acknowledge(leases: &mut Leases, lease: u32, id: u32) {
    if let Some((queue, lease)) = leases.take(lease) {
        queue.ack(lease, id);
    }
}

/// Takes up to COUNT messages from QUEUE.
fn receive() {
    operate(|block, scratch, session| {
        let wanted = block.count();
        take(block, scratch, session, None, wanted)
    });
}

/// Gives the reference in descriptor 0 back, then takes one message from QUEUE.
fn next() {
    operate(|block, scratch, session| {
        let done = block.buffer(0);
        take(block, scratch, session, Some(done), 1)
    });
}

fn take(
    block: &mut Block<'_>,
    scratch: &mut Scratch,
    session: &mut Session,
    done: Option<Buffer>,
    wanted: usize,
) -> millrace::Result<Status> {
    let Session { manager, allocator, ends, leases, .. } = session;
    block.set(COUNT, 0);
    let queue = match ends.get(manager, block.get(QUEUE))? {
        Ok(queue) => queue,
        Err(status) => {
            allocator.release_all(done.into_iter()).1?;
            return Ok(status);
        }
    };
    let received = &mut scratch.received[..wanted];
    let (count, outcome) = queue.receive_after(done, received)?;
    for (index, message) in received[..count].iter().enumerate() {
        let lease = message.lease.map_or(RECEIVED, |lease| leases.keep(queue, lease));
        block.describe(index, message.buffer.id, message.gap, lease, message.attempt);
    }
    block.set(COUNT, count as u32);
    Ok(taken(outcome))
}

/// Takes up to COUNT messages from QUEUE and leaves copies on the stage. TooLarge: the next one does not fit there, or it is to be
/// acknowledged; receive it.
fn get() {
    operate(|block, _, session| {
        let Session { manager, ends, .. } = session;
        let wanted = block.count();
        block.set(COUNT, 0);
        let queue = match ends.get(manager, block.get(QUEUE))? {
            Ok(queue) if queue.options().delivery == Delivery::AtLeastOnce => return Ok(Status::TooLarge),
            Ok(queue) => queue,
            Err(status) => return Ok(status),
        };
        let (stage, lengths) = block.stage(wanted);
        let (count, _, outcome) = queue.get(stage, lengths)?;
        block.set(COUNT, count as u32);
        Ok(taken(outcome))
    });
}

fn taken(outcome: TakeOutcome) -> Status {
    match outcome {
        TakeOutcome::Done => Status::Ok,
        TakeOutcome::Empty => Status::Empty,
        TakeOutcome::Closed => Status::Closed,
        TakeOutcome::Destroyed => Status::Destroyed,
    }
}

/// Gives COUNT references back. Leased ones are acknowledged.
fn release() {
    operate(|block, _, session| {
        let count = block.count();
        for index in (0..count).filter(|index| block.is_leased(*index)) {
            acknowledge(&mut session.leases, block.lease(index), block.buffer(index).id);
        }
        let (done, result) = {
            let buffers = (0..count).map(|index| block.buffer(index));
            session.allocator.release_all(buffers)
        };
        block.set(COUNT, done as u32);
        result.map(|()| Status::Ok)
    });
}

/// Gives COUNT leased messages back to their queues, to be delivered again. A message of a destroyed queue is just released.
fn nack() {
    operate(|block, _, session| {
        for index in 0..block.count() {
            let buffer = block.buffer(index);
            let Some((queue, lease)) = session.leases.take(block.lease(index)) else {
                return Ok(Status::NotHeld);
            };
            if queue.nack(lease, buffer.id).is_err() {
                session.allocator.release(buffer)?;
            }
        }
        Ok(Status::Ok)
    });
}

/// Adds a reference to each of COUNT buffers.
fn share() {
    operate(|block, _, session| {
        for index in 0..block.count() {
            let shared = session.allocator.share(block.buffer(index))?;
            block.describe(index, shared.id, 0, 0, 1);
        }
        Ok(Status::Ok)
    });
}

/// Refers to the next message of QUEUE and leaves it there.
fn peek() {
    operate(|block, _, session| {
        block.set(COUNT, 0);
        let queue = match session.ends.get(&session.manager, block.get(QUEUE))? {
            Ok(queue) => queue,
            Err(status) => return Ok(status),
        };
        Ok(match queue.peek()? {
            Some(buffer) => {
                block.describe(0, buffer.id, 0, 0, 1);
                block.set(COUNT, 1);
                Status::Ok
            }
            None if queue.is_destroyed() => Status::Destroyed,
            None if queue.is_closed() => Status::Closed,
            None => Status::Empty,
        })
    });
}

/// Starts to wait for KIND at QUEUE.
fn arm() {
    operate(|block, _, session| {
        let sleeps = session.arm(block.get(QUEUE), block.get(KIND), block.get(BYTES) as usize)?;
        Ok(if sleeps { Status::Armed } else { Status::Ok })
    });
}

/// Ends a wait for KIND at QUEUE.
fn disarm() {
    operate(|block, _, session| {
        session.disarm(block.get(QUEUE), block.get(KIND));
        Ok(Status::Ok)
    });
}

/// After a ring: which waits may be over.
fn ready() {
    operate(|block, _, session| {
        block.set(COUNT, 0);
        let news = session.news();
        block.set(NEWS, news);
        let ready = session.ready(BATCH_MAX)?;
        for (index, (queue, kind)) in ready.iter().enumerate() {
            block.describe(index, *queue, *kind, 0, 0);
        }
        block.set(COUNT, ready.len() as u32);
        Ok(Status::Ok)
    });
}
