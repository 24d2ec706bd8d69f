//! BindingManager: the slow operations of one open domain.

use crate::array_buffer::{detach, of_segment};
use crate::block::Memory;
use crate::error::{Result, closed, count_panics, existing, from_core, from_napi, guarded, panics};
use crate::handles::What;
use crate::isolate::Isolate;
use crate::observer::BindingObserver;
use crate::options::{BindingOpenOptions, BindingQueueInfo, BindingQueueOptions, duration};
use crate::session::Session;
use crate::to_json;
use millrace::{ErrorKind, LoopAddress, PortQueue, SegmentView, ShmManager, limits};
use napi::bindgen_prelude::{Either, JsObjectValue, Object, Unknown};
use napi::{Env, JsValue, check_status, sys};
use napi_derive::napi;
use std::ptr::NonNull;

/// An open domain.
#[napi]
#[derive(Debug)]
pub struct BindingManager {
    handle: u32,
    slot: u32,
    directory: String,
    closed: bool,
}

#[napi]
impl BindingManager {
    /// Creates the domain or attaches to it.
    #[napi(factory, catch_unwind)]
    pub fn open(domain: String, options: BindingOpenOptions) -> Result<Self> {
        count_panics();
        let manager = guarded(|| ShmManager::open(&domain, &options.into())).flatten().map_err(from_core)?;
        let (slot, directory) = (manager.slot() as u32, manager.directory().display().to_string());
        let handle = Isolate::with(|isolate| isolate.add(Session::new(manager)));
        Ok(Self { handle, slot, directory, closed: false })
    }

    pub(crate) fn session<T>(&self, f: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let (mut f, mut outcome) = (Some(f), None);
        self.guarded_session(&mut |session| outcome = f.take().map(|f| f(session)))?;
        outcome.unwrap_or_else(|| Err(closed()))
    }

    /// Runs `f` unless the manager has been closed. What is the same for every method is compiled once.
    fn guarded_session(&self, f: &mut dyn FnMut(&mut Session)) -> Result<()> {
        let run = |isolate: &mut Isolate| isolate.session(self.handle).filter(|_| !self.closed).map(f);
        guarded(|| Isolate::with(run)).map(drop).map_err(from_core)
    }

    pub(crate) fn with_queue<T>(&self, queue: u32, f: impl FnOnce(&PortQueue) -> T) -> Result<Option<T>> {
        self.session(|session| {
            let queue = existing(session.handles.queue(&session.manager, queue))?;
            Ok(queue.map(|queue| f(queue)))
        })
    }

    /// As [`BindingManager::with_queue`]; nothing when the queue has been destroyed, too.
    pub(crate) fn with_live_queue<T>(
        &self,
        queue: u32,
        f: impl FnOnce(&PortQueue) -> T,
    ) -> Result<Option<T>> {
        self.with_queue(queue, |queue| (!queue.is_destroyed()).then(|| f(queue))).map(Option::flatten)
    }

    /// What names this manager in the command block.
    #[napi(getter)]
    pub fn handle(&self) -> u32 {
        self.handle
    }

    /// Slot number of this participant.
    #[napi(getter)]
    pub fn participant(&self) -> u32 {
        self.slot
    }

    /// What opening the domain has found, as JSON.
    #[napi(catch_unwind)]
    pub fn opened(&self) -> Result<String> {
        self.session(|session| Ok(to_json(&session.manager.opened())))
    }

    /// Directory of the domain.
    #[napi(getter)]
    pub fn directory(&self) -> String {
        self.directory.clone()
    }

    /// A handle for queue `name`. With options it is created or attached to, without it may not exist yet.
    #[napi(catch_unwind)]
    pub fn queue(&self, name: String, options: Option<BindingQueueOptions>) -> Result<u32> {
        self.named(What::Queue, &name, options)
    }

    pub(crate) fn named(&self, what: What, name: &str, options: Option<BindingQueueOptions>) -> Result<u32> {
        let options = options.map(BindingQueueOptions::into_core).transpose()?;
        self.session(|session| {
            let capacity = options.as_ref().and_then(|options| options.capacity);
            let handle = session.handles.add(&session.manager, what, name, options.as_ref());
            handle.map_err(|error| from_core(no_ring(error, name, capacity)))
        })
    }

    /// The queue as it is; null while it does not exist or when it has been destroyed.
    #[napi(catch_unwind)]
    pub fn queue_info(&self, queue: u32) -> Result<Option<BindingQueueInfo>> {
        let info = self.with_live_queue(queue, BindingQueueInfo::new)?;
        self.of_topic(queue, info)
    }

    /// How many participants send to the queue, and how many receive from it; null while it does not exist or when it has been destroyed.
    #[napi(catch_unwind)]
    pub fn queue_roles(&self, queue: u32) -> Result<Option<Vec<u32>>> {
        self.with_live_queue(queue, |queue| vec![queue.producers() as u32, queue.consumers() as u32])
    }

    /// Who else has the queue open, and what to do where it is not what was asked for; null while it does not exist.
    #[napi(catch_unwind)]
    pub fn whose_queue(&self, queue: u32) -> Result<Option<String>> {
        self.with_queue(queue, PortQueue::whose)
    }

    /// Changes how many messages the queue holds; false: there is no queue yet.
    #[napi(catch_unwind)]
    pub fn resize_queue(&self, queue: u32, capacity: u32) -> Result<bool> {
        let resize = |queue: &PortQueue| {
            queue.resize(capacity).map_err(|error| no_ring(error, queue.name(), Some(capacity)))
        };
        let resized = self.with_queue(queue, resize)?;
        Ok(resized.transpose().map_err(from_core)?.is_some())
    }

    /// Says "no more".
    #[napi(catch_unwind)]
    pub fn close_queue(&self, queue: u32) -> Result<()> {
        self.with_queue(queue, PortQueue::close).map(drop)
    }

    /// Removes the queue for everybody.
    #[napi(catch_unwind)]
    pub fn destroy_queue(&self, queue: u32) -> Result<()> {
        self.with_queue(queue, PortQueue::destroy)?;
        self.session(|session| {
            session.handles.drop_ended();
            Ok(())
        })
    }

    /// Forgets the handle.
    #[napi(catch_unwind)]
    pub fn detach_queue(&self, queue: u32) -> Result<()> {
        self.session(|session| {
            session.waits.disarm_all(&session.manager, queue);
            session.handles.detach(queue);
            Ok(())
        })
    }

    /// What becomes readable when this participant is woken: a descriptor, which the caller closes, or the path of a pipe to connect to,
    /// which says nothing of what was before.
    #[napi(catch_unwind)]
    pub fn doorbell(&self) -> Result<Either<i32, String>> {
        let end = self.session(|session| session.manager.doorbell().map_err(from_core))?;
        Ok(match end.release() {
            LoopAddress::Descriptor(fd) => Either::A(fd),
            LoopAddress::Pipe(path) => Either::B(path),
        })
    }

    /// Blocks until this participant is woken (true) or the time is over. Arm first.
    #[napi(catch_unwind)]
    pub fn wait_sync(&self, timeout_ms: f64) -> Result<bool> {
        self.session(|session| Ok(session.manager.park(session.waits.sequence, duration(timeout_ms))))
    }

    /// The ArrayBuffers over pool segment `index`, with its number of buffers and their size in bytes.
    #[napi(
        catch_unwind,
        ts_return_type = "{ payload: ArrayBuffer; headers: ArrayBuffer; count: number; stride: number }"
    )]
    pub fn segment<'env>(&self, env: &'env Env, index: u32) -> Result<Object<'env>> {
        let raw = env.raw();
        let view = self.segment_view(index as usize)?;
        let values = of_segment(raw, &view)?;
        let object = (|| {
            let mut object = Object::new(env)?;
            for (name, value) in [("payload", values.0), ("headers", values.1)] {
                // SAFETY: the value belongs to this env and this scope.
                object.set_named_property(name, unsafe { Unknown::from_raw_unchecked(raw, value) })?;
            }
            object.set_named_property("count", view.count as u32)?;
            object.set_named_property("stride", view.stride as u32)?;
            Ok(object)
        })();
        object.map_err(|e: napi::Error| from_napi(&e))
    }

    /// The segment that message `id` is in.
    pub(crate) fn segment_of(&self, id: u32) -> Result<SegmentView> {
        self.segment_view((id >> limits::INDEX_BITS) as usize & (limits::MAX_SEGMENTS - 1))
    }

    fn segment_view(&self, index: usize) -> Result<SegmentView> {
        self.session(|session| {
            // Of one that has been taken out the core has let go: what has views of it reads zeros.
            let view = session.manager.segment(index).map_err(from_core)?;
            session.segments.insert(index, view.clone());
            Ok(view)
        })
    }

    /// Detaches an own view.
    #[napi(catch_unwind)]
    pub fn detach_view(
        &self,
        env: &Env,
        #[napi(ts_arg_type = "ArrayBuffer")] view: Unknown<'_>,
    ) -> Result<()> {
        detach(env.raw(), view.raw())
    }

    /// Gives the memory of segments that nobody uses back to the system.
    #[napi(catch_unwind)]
    pub fn trim(&self) -> Result<BindingTrim> {
        let report = self.session(|session| session.manager.trim().map_err(from_core))?;
        Ok(BindingTrim { segments: report.segments as u32, bytes: report.bytes as f64 })
    }

    /// Ids of `count` new buffers of `bytes` bytes; null: there are not so many, and the pool has been armed for them.
    #[napi(catch_unwind)]
    pub fn allocate_all(&self, bytes: u32, count: u32) -> Result<Option<Vec<u32>>> {
        self.session(|session| {
            let Session { manager, allocator, waits, .. } = session;
            waits.allocate_all(manager, allocator, (bytes as usize, count as usize)).map_err(from_core)
        })
    }

    /// Why there is no buffer of `bytes` bytes: who holds them all, or that the machine has no memory left.
    #[napi(catch_unwind, ts_return_type = "{ code: string; message: string }")]
    pub fn explain_exhausted<'env>(&self, env: &'env Env, bytes: u32) -> Result<Object<'env>> {
        described(env, &self.session(|session| Ok(session.allocator.exhausted(bytes as usize)))?)
    }

    /// What the last hot operation with status Error died of.
    #[napi(catch_unwind, ts_return_type = "{ code: string; message: string }")]
    pub fn take_error<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let error = Isolate::with(|isolate| isolate.error.take())
            .unwrap_or_else(|| millrace::Error::new(ErrorKind::Corrupt, "no error has been recorded"));
        described(env, &error)
    }

    /// The domain as JSON.
    #[napi(catch_unwind)]
    pub fn snapshot(&self) -> Result<String> {
        self.session(|session| {
            session.manager.snapshot().map_err(from_core).map(|snapshot| to_json(&snapshot))
        })
    }

    /// Who has joined and left and has not been told of yet, as JSON.
    #[napi(catch_unwind)]
    pub fn take_events(&self) -> Result<String> {
        self.session(|session| Ok(to_json(&session.manager.take_events(&mut session.events))))
    }

    /// Who is stalled now, as JSON. Those who did before and do not any more are not in it.
    #[napi(catch_unwind)]
    pub fn take_stalled(&self) -> Result<String> {
        self.session(|session| {
            // Before the look: what changes meanwhile is news again.
            session.stalls_seen = session.manager.stalls();
            Ok(to_json(&session.manager.stalled()))
        })
    }

    /// The domain, for what takes its time: mapped once more, because our mappings are replaced by zeros when this manager closes, and
    /// what runs aside would take those for the truth.
    #[napi(catch_unwind)]
    pub fn observer(&self) -> Result<BindingObserver> {
        self.session(|session| BindingObserver::new(|| session.manager.separate_observer()))
    }

    /// Leaves the domain; from now on every view reads zeros. Idempotent.
    #[napi(catch_unwind)]
    pub fn close(&mut self) -> Result<()> {
        self.end(Session::leave)
    }

    /// The same because the process or worker thread ends with `code`.
    #[napi(catch_unwind)]
    pub fn exit(&mut self, code: i32) -> Result<()> {
        self.end(|session| session.exit(Some(code)))
    }

    fn end<T>(&mut self, end: impl FnOnce(Session) -> T) -> Result<()> {
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        let session =
            Isolate::with(|isolate| isolate.sessions.get_mut(self.handle as usize).and_then(Option::take));
        guarded(|| session.map(end)).map(drop).map_err(from_core)
    }
}

/// The command block of this isolate: an ArrayBuffer that stays where it is.
#[napi(ts_return_type = "ArrayBuffer")]
pub fn command_block(env: &Env) -> Result<Unknown<'_>> {
    let raw = env.raw();
    let made = (|| {
        if let Some(reference) = Isolate::with(|isolate| isolate.block_reference()) {
            let mut value = std::ptr::null_mut();
            // SAFETY: the reference is strong and ours.
            check_status!(unsafe { sys::napi_get_reference_value(raw, reference, &raw mut value) })?;
            return Ok(value);
        }
        let (mut data, mut value, mut reference) =
            (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: out-parameters of the right types.
        check_status!(unsafe {
            sys::napi_create_arraybuffer(raw, size_of::<Memory>(), &raw mut data, &raw mut value)
        })?;
        // SAFETY: a strong reference keeps the memory alive until the isolate ends.
        check_status!(unsafe { sys::napi_create_reference(raw, value, 1, &raw mut reference) })?;
        let memory = NonNull::new(data.cast::<Memory>())
            .ok_or_else(|| napi::Error::from_reason("the runtime gave no memory"))?;
        Isolate::with(|isolate| isolate.set_block(memory, reference));
        // The isolate's end is the managers' end, whatever JavaScript was doing (`worker.terminate()`, `process.exit()`).
        env.add_env_cleanup_hook((), |()| Isolate::with(Isolate::end))?;
        Ok(value)
    })();
    let value = made.map_err(|e: napi::Error| from_napi(&e))?;
    // SAFETY: the value belongs to this env and this scope.
    Ok(unsafe { Unknown::from_raw_unchecked(raw, value) })
}

/// What a trim has given back.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct BindingTrim {
    /// Segments that were taken out.
    pub segments: u32,
    /// Bytes of the budget that they counted for.
    pub bytes: f64,
}

/// What this build is, and what the runtime offers.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct BindingRuntimeInfo {
    /// Version of the package.
    pub version: String,
    /// Hash of the shared layout.
    pub layout_hash: String,
    /// Panics of the addon in this process: defects, each of which has become an error.
    pub panics: u32,
}

/// What this build is, and what the runtime offers.
#[napi]
pub fn runtime_info() -> BindingRuntimeInfo {
    BindingRuntimeInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        layout_hash: format!("{:016x}", millrace::layout_facts().1),
        panics: panics(),
    }
}

/// An error as data, for JavaScript to make its own of.
fn described<'env>(env: &'env Env, error: &millrace::Error) -> Result<Object<'env>> {
    let object = (|| {
        let mut object = Object::new(env)?;
        object.set_named_property("code", error.kind().code())?;
        object.set_named_property("message", error.to_string())?;
        Ok(object)
    })();
    object.map_err(|e: napi::Error| from_napi(&e))
}

/// `error`, which is said of a buffer, of the queue that was to have it for its ring.
fn no_ring(error: millrace::Error, name: &str, capacity: Option<u32>) -> millrace::Error {
    match (error.kind(), capacity) {
        (ErrorKind::TooLarge | ErrorKind::Exhausted | ErrorKind::NoSpace, Some(capacity)) => {
            error.about(&format!("there is no memory for queue {name:?} to hold {capacity} messages"))
        }
        _ => error,
    }
}
