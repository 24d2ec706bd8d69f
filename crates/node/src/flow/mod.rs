//! Flows: blocks that threads of their own run, beside the event loop.
//!
//! A run is a participant of its own: what its blocks hold is accounted apart, and it does not look at memory through mappings that end
//! with the manager. It is kept with the isolate, whose end is its end.

mod graph;
mod report;

use crate::error::{Result, closed, from_core, from_napi, guarded};
use crate::isolate::Isolate;
use crate::manager::BindingManager;
use crate::options::duration;
use crate::to_json;
use graph::{BindingFlow, BindingPorts, Settings, build};
use millrace::{Error, OpenOptions, ShmManager};
use millrace_flow::Run;
use millrace_flow::ports::PortSpec;
use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue};
use napi_derive::napi;
use report::{Counted, Outcome, alone, counted, stalls};
use std::sync::Arc;
use std::time::Duration;

/// Name of the participant that a run is.
const PARTICIPANT: &str = "scheduler";

/// How long blocks may take to return from their work when their manager is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Blocks that have been started.
#[napi]
#[derive(Debug)]
pub struct BindingRun {
    id: u32,
}

/// The ports of a block of that kind, which may depend on its settings.
#[napi(catch_unwind)]
pub fn describe_block(
    kind: String,
    #[napi(ts_arg_type = "Record<string, boolean | number | string>")] settings: Settings,
) -> Result<BindingPorts> {
    let ports =
        guarded(|| build(&kind, &settings).map(|block| block.ports())).flatten().map_err(from_core)?;
    let names = |ports: Vec<PortSpec>| ports.into_iter().map(|port| port.name.into_owned()).collect();
    Ok(BindingPorts { inputs: names(ports.inputs), outputs: names(ports.outputs) })
}

#[napi]
impl BindingManager {
    /// Starts the blocks of `flow`.
    #[napi(catch_unwind)]
    pub fn run_flow(&self, flow: BindingFlow) -> Result<BindingRun> {
        let (domain, base) = self.session(|session| {
            let directory = session.manager.directory();
            Ok((session.manager.domain().to_owned(), directory.parent().map(Into::into)))
        })?;
        let options =
            OpenOptions { name: Some(PARTICIPANT.to_owned()), directory: base, ..OpenOptions::default() };
        let start = || {
            let shm = Arc::new(ShmManager::open(&domain, &options)?);
            flow.scheduler(&shm)?.start()
        };
        let run = guarded(start).flatten().map_err(from_core)?;
        Ok(BindingRun { id: Isolate::with(|isolate| isolate.runs.add(run)) })
    }
}

impl BindingRun {
    fn with<T>(&self, f: impl FnOnce(&Run) -> T) -> Result<T> {
        let run = |isolate: &mut Isolate| isolate.runs.get(self.id).map(f).ok_or_else(closed);
        guarded(|| Isolate::with(run)).map_err(from_core)?
    }
}

#[napi]
impl BindingRun {
    /// Settles when every block has ended: what was counted, and what the first to fail failed of, as JSON. Keeps the event loop alive until
    /// then. To be called once.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn ended<'env>(&self, env: &'env Env) -> Result<Unknown<'env>> {
        type Resolver = Box<dyn FnOnce(Env) -> napi::Result<String>>;
        let (deferred, promise) =
            env.create_deferred::<String, Resolver>().map_err(|error| from_napi(&error))?;
        let id = self.id;
        // On a thread of the scheduler; what the deferred is resolved with runs on ours.
        self.with(|run| run.on_end(move || deferred.resolve(Box::new(move |_| Ok(outcome(id))))))?;
        // SAFETY: the value belongs to this env and this scope.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), promise.raw()) })
    }

    /// What has been counted so far, as JSON.
    #[napi(catch_unwind)]
    pub fn report(&self) -> Result<String> {
        self.with(|run| to_json(&counted(&run.report())))
    }

    /// Ports of blocks that have taken nothing yet, at queues at whose other side nobody is, as JSON.
    #[napi(catch_unwind)]
    pub fn alone(&self) -> Result<String> {
        self.with(|run| to_json(&alone(&run.alone())))
    }

    /// What each block that has not ended waits for, or that it works.
    #[napi(catch_unwind)]
    pub fn explain(&self) -> Result<String> {
        self.with(Run::explain)
    }

    /// Blocks whose call of work has taken longer than so many ms so far, as JSON.
    #[napi(catch_unwind)]
    pub fn stalls(&self, longer_than: f64) -> Result<String> {
        self.with(|run| to_json(&stalls(&run.stalls(duration(longer_than)))))
    }

    /// Begins to drain.
    #[napi(catch_unwind)]
    pub fn drain(&self) -> Result<()> {
        self.with(Run::begin_drain)
    }

    /// Begins to stop.
    #[napi(catch_unwind)]
    pub fn stop(&self) -> Result<()> {
        self.with(Run::begin_stop)
    }

    /// Runs no block any more, until [`BindingRun::resume`].
    #[napi(catch_unwind)]
    pub fn pause(&self) -> Result<()> {
        self.with(Run::pause)
    }

    /// Runs them again.
    #[napi(catch_unwind)]
    pub fn resume(&self) -> Result<()> {
        self.with(Run::resume)
    }

    /// Ends every block after the work it is in, and leaves the domain; what was counted, as JSON. Nothing, when that has been done.
    #[napi(catch_unwind)]
    pub fn close(&self) -> Result<Option<String>> {
        let Some(run) = Isolate::with(|isolate| isolate.runs.take(self.id)) else { return Ok(None) };
        let end = || {
            let before = run.report();
            // Whoever waits for the run hears that the manager was closed, whatever else there is to say.
            let report = run.stop(CLOSE_TIMEOUT).unwrap_or(before);
            to_json(&counted(&report))
        };
        guarded(end).map(Some).map_err(from_core)
    }
}

/// How run `id`, whose blocks have all ended, ended, as JSON: joins its threads, and leaves the domain.
fn outcome(id: u32) -> String {
    let end = || {
        let Some(run) = Isolate::with(|isolate| isolate.runs.take(id)) else {
            let error = closed();
            let (code, message) = (Some(error.status), Some(error.reason));
            return to_json(&Outcome { code, message, ..Outcome::default() });
        };
        // A failure takes it away.
        let report = run.report();
        to_json(&ended(counted(&report), run.wait().err()))
    };
    guarded(end).unwrap_or_else(|defect| to_json(&ended(Counted::default(), Some(defect))))
}

fn ended(counted: Counted<'_>, error: Option<Error>) -> Outcome<'_> {
    Outcome {
        counted,
        code: error.as_ref().map(|error| error.kind().code()),
        message: error.map(|error| error.to_string()),
    }
}
