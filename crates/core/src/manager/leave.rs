//! Leaving a domain, and removing it when nobody is left.
//!
//! A leaver gives up its slot by a store of its own, whoever has the domain lock: a process that is stopped in the middle of opening or
//! closing keeps nobody from leaving. Then the domain has to be removed by somebody, under the lock:
//!
//! ```text
//! leaver:             slot FREE │ fence │ all FREE? │ try the lock: taken  │ look again, remove, unlock
//!                                                   │               in use │ done: it is the holder's business
//! holder of the lock: unlock    │ fence │ all FREE? │ … as a leaver
//! ```
//!
//! Of several leavers at least one sees everybody else's slot FREE (the fence). If it finds the lock in use, its slot was FREE before the
//! holder unlocked, so the holder's look after that sees it. Whoever joins holds the lock and is active afterwards. A leaver or holder
//! that is killed leaves a domain without participants, or with a dead one, to the next who opens it.

use super::open::persists;
use crate::fault::{self, Point};
use crate::layout::PARTICIPANT_FREE;
use crate::recovery::sweep;
use crate::registry::Domain;
use crate::segment::DomainLock;
use crate::sync::{Ordering, fence};
use std::path::Path;

/// Removes the domain if nobody is in it any more, unless it persists. Does not wait for anybody. To be called by whoever has left it,
/// and by whoever has held its lock and is not in it.
pub(super) fn remove_if_deserted(base: &Path, domain: &Domain) {
    loop {
        // SYNC LEAVE (fence), pairs with itself: of those who leave at the same time one sees the slots of all the others free; and who
        // comes here from the lock sees that of whoever found it in use.
        fence(Ordering::SeqCst);
        if !is_deserted(domain) {
            return;
        }
        if !domain.dir.is_in_place() {
            // It has been removed, by another leaver or by hand: nobody can join it, and another domain may be in its place.
            let _ = domain.dir.clear();
            return;
        }
        let Ok(Some(lock)) = DomainLock::try_take(base, &domain.name) else { return };
        if is_deserted(domain) {
            fault::hit(Point::LeaveLocked);
            // What cannot be removed now is removed by the next who opens and closes the domain.
            let _ = lock.remove_domain(&domain.dir);
            return lock.release();
        }
    }
}

/// Gives up the lock without having joined: removes the domain if nobody is in it.
pub(super) fn give_up(lock: DomainLock, base: &Path, domain: &Domain) {
    if is_deserted(domain) {
        let _ = lock.remove_domain(&domain.dir);
    }
    lock.release();
    // Somebody may have left meanwhile, and found the lock in use.
    remove_if_deserted(base, domain);
}

fn is_deserted(domain: &Domain) -> bool {
    let nobody = || domain.participants().iter().all(|p| p.state.load(Ordering::Acquire) == PARTICIPANT_FREE);
    // The dead still count as participants: recover them first.
    !persists(domain) && (nobody() || (sweep(domain).is_ok() && nobody()))
}
