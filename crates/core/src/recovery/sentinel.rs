//! The sentinel: one thread per participant that sleeps until another participant dies, and recovers it.

use super::stalled::StallWatch;
use super::{Sweep, sweep};
use crate::buffer::MemoryWatch;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BACKSTOP_NS, SWEEP_NS};
use crate::os::DeathWatch;
use crate::queue::QueueCache;
use crate::registry::Participant;
use crate::sync::Ordering;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running sentinel; stopped and joined when dropped.
#[derive(Debug)]
pub(crate) struct Sentinel {
    participant: Arc<Participant>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sentinel {
    pub(crate) fn start(queues: Arc<QueueCache>) -> Result<Self> {
        let participant = Arc::clone(&queues.participant);
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("millrace".to_owned())
            .stack_size(256 << 10)
            .spawn(move || watch(&queues, &theirs))
            .map_err(no_thread)?;
        Ok(Self { participant, stop, thread: Some(thread) })
    }
}

fn no_thread(error: std::io::Error) -> Error {
    let what = "cannot start the sentinel, a thread of each participant";
    match error.kind() {
        // What the system says when there are too many already.
        std::io::ErrorKind::WouldBlock => Error::new(
            ErrorKind::Limit,
            format!(
                "{what}: no thread is left: raise the limit (`ulimit -u`, pids of a container), or close what is not needed"
            ),
        ),
        _ => Error::io(what, error),
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Release);
        self.participant.sentinel.notify();
        if let Some(thread) = self.thread.take() {
            // It cannot panic on purpose; if it did, there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

fn watch(queues: &QueueCache, stop: &AtomicBool) {
    let participant = &queues.participant;
    let domain = &participant.domain;
    let (mut watch, mut stalls) = (DeathWatch::default(), StallWatch::default());
    let mut memory = MemoryWatch::default();
    // Soon at first: somebody may have died before we looked.
    let mut patience = Duration::ZERO;
    let mut looked = Instant::now();
    while !stop.load(std::sync::atomic::Ordering::Acquire) {
        let others: Vec<_> = domain
            .active()
            .map(|(slot, p)| ((slot, p.epoch.load(Ordering::Relaxed)), p.pid.load(Ordering::Relaxed)))
            // Participants of this very process cannot die without us.
            .filter(|(_, pid)| *pid != std::process::id())
            .collect();
        watch.set(&others);
        watch.wait(&participant.sentinel, patience);
        participant.sentinel.drain();
        if stop.load(std::sync::atomic::Ordering::Acquire) {
            return;
        }
        if looked.elapsed() > Duration::from_nanos(BACKSTOP_NS) {
            // For the notification that could not be delivered: whoever sleeps here looks again.
            looked = Instant::now();
            domain.notify(participant.slot);
        }
        memory.look(participant);
        queues.shrink_quiet();
        let (hindrance, again) = match sweep(domain) {
            // A failed sweep (a full or vanished file system) is tried again like one with nothing to do.
            Ok(Sweep::Nothing | Sweep::Recovered(_)) | Err(_) => (None, Duration::from_nanos(SWEEP_NS)),
            Ok(Sweep::Later(hindrance)) => {
                if patience >= Duration::from_nanos(SWEEP_NS) {
                    // Somebody may stay inside for long (stopped): a notification that died with the dead must not wait for that.
                    domain.notify_all();
                }
                let again = (patience * 2).clamp(Duration::from_millis(1), Duration::from_millis(50));
                (Some(hindrance), again)
            }
        };
        patience = again.min(stalls.look(participant, hindrance));
    }
}
