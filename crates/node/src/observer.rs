//! BindingObserver: what takes its time, and so runs beside the event loop.

use crate::error::{Result, from_core, guarded};
use crate::options::duration;
use millrace::{DomainEntry, DomainSummary, Error, ErrorKind, Observer, remove_domain};
use napi::Task;
use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use serde::Serialize;
use std::cell::RefCell;
use std::path::Path;

/// A domain seen from outside.
#[napi]
#[derive(Debug)]
pub struct BindingObserver {
    /// `None`: closed. In a cell, because the runtime borrows this while work is under way.
    observer: RefCell<Option<Observer>>,
}

impl BindingObserver {
    pub(crate) fn new(open: impl FnOnce() -> millrace::Result<Observer>) -> Result<Self> {
        let observer = guarded(open).flatten().map_err(from_core)?;
        Ok(Self { observer: RefCell::new(Some(observer)) })
    }

    fn observer(&self) -> Result<Observer> {
        self.observer.borrow().clone().ok_or_else(|| {
            from_core(Error::new(ErrorKind::Closed, "the observer has been closed: open another one"))
        })
    }

    fn later<T: Serialize + 'static>(
        &self,
        work: impl FnOnce(&Observer) -> millrace::Result<T> + Send + 'static,
    ) -> Result<AsyncTask<Later>> {
        // Its own, so closing meanwhile takes nothing away from it. Dropped where the work ends.
        let observer = self.observer()?;
        Ok(Later::task(move || work(&observer)))
    }
}

#[napi]
impl BindingObserver {
    /// Opens a domain that exists.
    #[napi(factory, catch_unwind)]
    pub fn open(domain: String, directory: Option<String>) -> Result<Self> {
        Self::new(|| Observer::open(&domain, directory.as_deref().map(Path::new)))
    }

    /// Every domain, as JSON.
    #[napi(catch_unwind)]
    pub fn list(directory: Option<String>) -> Result<String> {
        let entries =
            guarded(|| Observer::list(directory.as_deref().map(Path::new))).flatten().map_err(from_core)?;
        Ok(crate::to_json(&entries.into_iter().map(Listed::of).collect::<Vec<_>>()))
    }

    /// Removes a domain that nobody is in; how that ended, as the JSON of an outcome.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn remove(
        domain: String,
        directory: Option<String>,
        kept: bool,
        timeout_ms: f64,
    ) -> AsyncTask<Later> {
        Later::task(move || {
            remove_domain(&domain, directory.as_deref().map(Path::new), kept, duration(timeout_ms))
        })
    }

    /// Lets go of the domain. What runs goes on. Idempotent.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        drop(self.observer.take());
    }

    /// The domain as JSON.
    #[napi(catch_unwind)]
    pub fn snapshot(&self) -> Result<String> {
        let observer = self.observer()?;
        let snapshot = guarded(|| observer.snapshot()).flatten().map_err(from_core)?;
        Ok(crate::to_json(&snapshot))
    }

    /// Who has died and is not recovered yet, as JSON.
    #[napi(catch_unwind)]
    pub fn dead(&self) -> Result<String> {
        let observer = self.observer()?;
        let dead = guarded(|| observer.dead()).flatten().map_err(from_core)?;
        Ok(crate::to_json(&dead.iter().map(|one| (one.slot, one.epoch)).collect::<Vec<_>>()))
    }

    /// Who is stalled, as JSON.
    #[napi(catch_unwind)]
    pub fn stalled(&self) -> Result<String> {
        let observer = self.observer()?;
        guarded(|| crate::to_json(&observer.stalled())).map_err(from_core)
    }

    /// What has happened after event `since`, as JSON.
    #[napi(catch_unwind)]
    pub fn events(&self, since: f64) -> Result<String> {
        let observer = self.observer()?;
        guarded(|| crate::to_json(&observer.events(since as u64))).map_err(from_core)
    }

    /// What is off, as the JSON of an outcome.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn fsck(&self, timeout_ms: f64) -> Result<AsyncTask<Later>> {
        self.later(move |observer| observer.fsck(duration(timeout_ms)))
    }

    /// Ends a participant; the report, as the JSON of an outcome.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn evict(&self, slot: u32, epoch: u32, timeout_ms: f64) -> Result<AsyncTask<Later>> {
        self.later(move |observer| observer.evict(slot as usize, epoch, duration(timeout_ms)))
    }
}

/// Work on a thread of the runtime's pool. It returns JSON, `{ value }` or `{ code, message }`: an error thrown by a task could not carry
/// a code.
pub struct Later(Option<Box<dyn FnOnce() -> String + Send>>);

impl Later {
    fn task<T: Serialize>(work: impl FnOnce() -> millrace::Result<T> + Send + 'static) -> AsyncTask<Self> {
        AsyncTask::new(Self(Some(Box::new(move || outcome(work())))))
    }
}

impl std::fmt::Debug for Later {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Later")
    }
}

impl Task for Later {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> napi::Result<String> {
        let Some(work) = self.0.take() else { return Err(napi::Error::from_reason("a task runs once")) };
        Ok(guarded(work).unwrap_or_else(|defect| outcome::<()>(Err(defect))))
    }

    fn resolve(&mut self, _env: napi::Env, output: String) -> napi::Result<String> {
        Ok(output)
    }
}

/// A domain in a list, with what its registry says or `error`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    domain: String,
    directory: String,
    alive: usize,
    memory_bytes: Option<u64>,
    error: Option<Failure>,
    #[serde(flatten)]
    summary: Option<DomainSummary>,
}

impl Listed {
    fn of(entry: DomainEntry) -> Self {
        let DomainEntry { domain, directory, alive, memory_bytes, summary } = entry;
        let directory = directory.display().to_string();
        let (summary, error) = match summary {
            Ok(summary) => (Some(summary), None),
            Err(e) => (None, Some(Failure::of(&e))),
        };
        Self { domain, directory, alive, memory_bytes, error, summary }
    }
}

#[derive(Serialize)]
struct Failure {
    code: &'static str,
    message: String,
}

impl Failure {
    fn of(error: &Error) -> Self {
        Self { code: error.kind().code(), message: error.to_string() }
    }
}

/// `{ value }` or `{ code, message }`.
#[derive(Serialize)]
#[serde(untagged)]
enum Outcome<T> {
    Done { value: T },
    Failed(Failure),
}

fn outcome<T: Serialize>(result: millrace::Result<T>) -> String {
    crate::to_json(&match result {
        Ok(value) => Outcome::Done { value },
        Err(e) => Outcome::Failed(Failure::of(&e)),
    })
}
