//! Opening a domain: attaching to it, making it, and making it anew when what is left of it is of no use.

use super::OpenOptions;
use super::leave::{give_up, remove_if_deserted};
use super::opened::{Discarded, Opened};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{self, Point};
use crate::layout::PARTICIPANT_ACTIVE;
use crate::limits::{DEFAULT_MAX_BYTES, MAX_MAX_BYTES, MIN_MAX_BYTES, OPEN_TIMEOUT_NS};
use crate::liveness::{is_anybody_alive, living_processes};
use crate::os;
use crate::recovery::{assist, sweep};
use crate::registry::{Domain, Kind, Participant};
use crate::segment::{DomainDir, DomainLock, SegmentName, validate_name};
use crate::stats::snapshot;
use crate::sync::Ordering;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a slot is waited for that somebody is about to leave.
const SLOT_PATIENCE: Duration = Duration::from_secs(1);

/// Joins domain `name` below `base`, which is made if need be. On failure nothing is left behind that was not there before.
pub(super) fn join(base: &Path, name: &str, options: &OpenOptions) -> Result<(Participant, Opened)> {
    validate_name("domain", name)?;
    if let Some(bytes) = options.max_bytes.filter(|b| !(MIN_MAX_BYTES..=MAX_MAX_BYTES).contains(b)) {
        return Err(Error::invalid_argument(format!(
            "domain {name:?}: maxBytes is {bytes}, must be {MIN_MAX_BYTES} to {MAX_MAX_BYTES}"
        )));
    }
    let timeout = options.timeout.unwrap_or(Duration::from_nanos(OPEN_TIMEOUT_NS));
    let lock = DomainLock::take(base, name, os::deadline(timeout))?;
    fault::hit(Point::OpenLocked);
    // Whatever fails, if only for want of descriptors: there is one to clean up with.
    let opened = lock.spare().and_then(|spare| Ok((open_domain(&lock, name, options)?, spare)));
    let ((domain, opened), spare) = match opened {
        Ok(((domain, opened), spare)) => ((Arc::new(domain), opened), spare),
        Err(error) => {
            lock.remove_unfinished();
            lock.release();
            look_after_leavers(base, name);
            return Err(error);
        }
    };
    let label = options.name.clone().unwrap_or_else(|| format!("process {}", std::process::id()));
    let joined = Participant::join(Arc::clone(&domain), &label).or_else(|error| match error.kind() {
        ErrorKind::Limit => join_when_swept(&domain, &label),
        _ => Err(error),
    });
    if joined.is_err() {
        drop(spare);
        give_up(lock, base, &domain);
    }
    Ok((joined?, opened))
}

/// Joins `domain`, where no slot was to be had: the table may be full of the dead, and of those that nobody has told of yet.
fn join_when_swept(domain: &Arc<Domain>, label: &str) -> Result<Participant> {
    let deadline = os::deadline(SLOT_PATIENCE);
    loop {
        // If somebody else is at it, the next look finds what they have freed.
        let _ = sweep(domain);
        let joined = Participant::join(Arc::clone(domain), label);
        let is_full = joined.as_ref().is_err_and(|error| error.kind() == ErrorKind::Limit);
        let is_any_leaving =
            domain.participants().iter().any(|p| p.state.load(Ordering::Acquire) != PARTICIPANT_ACTIVE);
        if !is_full || !is_any_leaving || Instant::now() >= deadline {
            return joined;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whoever was refused has held the lock, and the last participant may have left meanwhile.
pub(super) fn look_after_leavers(base: &Path, name: &str) {
    let domain = DomainDir::existing(base, name).and_then(|dir| Domain::open(name, dir, assist));
    // One that cannot be opened is made afresh by the next who opens it.
    if let Ok(domain) = domain {
        remove_if_deserted(base, &domain);
    }
}

/// Attaches to the domain that `lock` is about, or makes it.
fn open_domain(lock: &DomainLock, name: &str, options: &OpenOptions) -> Result<(Domain, Opened)> {
    let dir = DomainDir::open(lock)?;
    if !dir.has_segment(SegmentName::Registry)? {
        // Left by somebody who died while making or removing a domain.
        dir.clear()?;
        return Ok((create(dir, name, options)?, Opened::Created));
    }
    let alive = is_anybody_alive(&dir)?;
    let domain = match Domain::open(name, dir, assist) {
        Err(e) if e.kind() == ErrorKind::Version => {
            refuse_other_version(&DomainDir::open(lock)?, name, options, alive, e)?;
            return start_afresh(lock, name, options, Opened::Recreated(None));
        }
        Err(e) if !alive && e.is_unusable() => {
            return start_afresh(lock, name, options, Opened::Recreated(None));
        }
        domain => domain?,
    };
    if alive {
        return Ok((agree(domain, options)?, Opened::Attached));
    }
    if !is_kept(&domain) {
        let opened = what_has_ended(&domain);
        drop(domain);
        return start_afresh(lock, name, options, opened);
    }
    resume(lock, domain, options)
}

/// Whether a domain outlives those who were in it: it persists, or it has work queues, whose jobs are to be done.
pub(super) fn is_kept(domain: &Domain) -> bool {
    persists(domain) || domain.entries().any(|(_, entry)| entry.is_kind(Kind::Work))
}

/// What a domain was that nobody is in, and that is not kept.
fn what_has_ended(domain: &Domain) -> Opened {
    match snapshot(domain) {
        // All had left in order, and the last one did not come to remove it.
        Ok(ended) if ended.participants.is_empty() => Opened::Created,
        Ok(ended) => Opened::Recreated(Some(Discarded::of(&ended))),
        Err(_) => Opened::Recreated(None),
    }
}

/// Attaches to a domain that is kept, and that nobody is in.
fn resume(lock: &DomainLock, domain: Domain, options: &OpenOptions) -> Result<(Domain, Opened)> {
    let name = domain.name.clone();
    let (_, unreadable) = domain.readable_pools()?;
    if let Some((_, reason)) = unreadable.into_iter().next() {
        if persists(&domain) && options.persist != Some(false) {
            return Err(reason.about(&format!(
                "domain {name:?} persists, nobody is in it, and it is damaged (open it once with `persist: false` to start afresh)"
            )));
        }
        drop(domain);
        return start_afresh(lock, &name, options, Opened::Recreated(None));
    }
    // Both are limits on what comes, not on what is there: with nobody left to disagree, the newcomer's hold.
    let registry = domain.registry();
    if let Some(bytes) = options.max_bytes {
        registry.max_bytes.store(bytes, Ordering::Relaxed);
    }
    if let Some(persist) = options.persist {
        registry.header.persist.store(persist.into(), Ordering::Relaxed);
    }
    Ok((domain, Opened::Resumed))
}

fn create(dir: DomainDir, name: &str, options: &OpenOptions) -> Result<Domain> {
    let max_bytes = options.max_bytes.unwrap_or(DEFAULT_MAX_BYTES);
    Domain::create(name, dir, max_bytes, options.persist.unwrap_or(false), assist)
}

/// Removes a domain that is of no use to anybody, and makes it anew.
fn start_afresh(
    lock: &DomainLock,
    name: &str,
    options: &OpenOptions,
    opened: Opened,
) -> Result<(Domain, Opened)> {
    lock.remove_domain(&DomainDir::open(lock)?)?;
    Ok((create(DomainDir::open(lock)?, name, options)?, opened))
}

/// Fails with `error`, which opening a domain of another layout has failed with, unless nobody wants what is in it.
fn refuse_other_version(
    dir: &DomainDir,
    name: &str,
    options: &OpenOptions,
    alive: bool,
    error: Error,
) -> Result<()> {
    if alive {
        let processes = living_processes(dir)?;
        return Err(error.about(&format!("domain {name:?} is used by {processes}")));
    }
    if options.persist != Some(false) && dir.persists()? {
        return Err(error.about(&format!(
            "domain {name:?} persists, and nobody is in it: empty it by the version that made it, or open it once with `persist: false` to start afresh"
        )));
    }
    Ok(())
}

pub(super) fn persists(domain: &Domain) -> bool {
    domain.registry().header.persist.load(Ordering::Relaxed) != 0
}

/// Refuses options other than those of a domain that others are in.
fn agree(domain: Domain, options: &OpenOptions) -> Result<Domain> {
    let mismatch = |what: &str, is: String, asked: String| {
        let users = living_processes(&domain.dir)?;
        let difference = format!("exists with {what} {is}, {asked} was asked for; it is used by {users}");
        Err(Error::new(ErrorKind::OptionsMismatch, format!("domain {:?} {difference}", domain.name)))
    };
    let (bytes, persist) = (domain.registry().max_bytes.load(Ordering::Relaxed), persists(&domain));
    match (options.max_bytes, options.persist) {
        (Some(asked), _) if asked != bytes => mismatch("maxBytes", bytes.to_string(), asked.to_string()),
        (_, Some(asked)) if asked != persist => mismatch("persist", persist.to_string(), asked.to_string()),
        _ => Ok(domain),
    }
}
