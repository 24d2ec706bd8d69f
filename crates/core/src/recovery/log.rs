//! The log of a domain: who has joined, who has left, who was recovered, in an order that is the same for everybody.
//!
//! One that joins or leaves says so in its slot only. Whoever has the recovery lock writes what the slots say into the log, and then into
//! the slot that it has: mostly the participant itself, right away; of one that has died at it the next that sweeps. So there is one writer at a time, none
//! that is killed leaves a gap or has an event told twice, and a stopped one holds up the telling, but nobody's leaving.

use super::recount::Counts;
use super::report::totals_at;
use crate::fault::{self, Point};
use crate::layout::{
    EVENT_CLOSED, EVENT_DIED, EVENT_EXITED, EVENT_EXITED_SOMEHOW, EVENT_JOINED, EventRecord,
    PARTICIPANT_ACTIVE, PARTICIPANT_FREE, PARTICIPANT_LEAVING, ParticipantSlot, TOLD_EPOCH_SHIFT,
    TOLD_JOINED, TOLD_LEFT,
};
use crate::limits::{DEPART_NS, MAX_EVENTS};
use crate::liveness::LifeLock;
use crate::os::deadline;
use crate::registry::{Dead, Domain, Participant, lock_recovery, now_ms};
use crate::sync::{Ordering, fence};
use std::time::{Duration, Instant};

/// Tells the others that `participant` has left, and frees its slot; or leaves it to whoever has the recovery lock for long.
pub(crate) fn depart(participant: &Participant) {
    let domain = &participant.domain;
    let deadline = deadline(Duration::from_nanos(DEPART_NS));
    // As long as we hold our life lock nobody else comes into the slot: it says LEAVING until somebody has told.
    while participant.shared().state.load(Ordering::Acquire) == PARTICIPANT_LEAVING {
        if let Ok(Some(_lock)) = lock_recovery(domain) {
            return tell(domain, Some(participant.slot));
        }
        if !domain.dir.is_in_place() {
            // Its directory has been removed, and the lock with it: nobody can tell any more, or come into the slot.
            domain.announce_departures();
            return free(participant.shared());
        }
        if Instant::now() > deadline {
            // It takes part no more, whatever the log says.
            return domain.announce_departures();
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Writes into the log who has joined and who has left since: of those who leave, `me`, and who died at it. The caller holds the recovery
/// lock.
pub(super) fn tell(domain: &Domain, me: Option<usize>) {
    let mut joined = false;
    for (slot, participant) in domain.participants().iter().enumerate() {
        // SYNC JOIN (acquire), pairs with joining and leaving (release): what the slot says besides is as new.
        match participant.state.load(Ordering::Acquire) {
            PARTICIPANT_ACTIVE => joined |= append(domain, slot, EVENT_JOINED, None),
            PARTICIPANT_LEAVING if me == Some(slot) => tell_of_leaving(domain, slot, participant),
            PARTICIPANT_LEAVING => {
                // With the lock of its life nobody else comes into the slot meanwhile.
                if let Ok(Some(_life)) = LifeLock::take_if_dead(&domain.dir, slot)
                    && participant.state.load(Ordering::Acquire) == PARTICIPANT_LEAVING
                {
                    tell_of_leaving(domain, slot, participant);
                }
            }
            _ => {}
        }
    }
    if joined {
        domain.notify_all();
    }
}

fn tell_of_leaving(domain: &Domain, slot: usize, participant: &ParticipantSlot) {
    append(domain, slot, EVENT_JOINED, None);
    let ending = participant.ending.load(Ordering::Relaxed);
    let known = [EVENT_CLOSED, EVENT_EXITED, EVENT_EXITED_SOMEHOW].contains(&ending);
    append(domain, slot, if known { ending } else { EVENT_CLOSED }, None);
    // If we die at this, the next to sweep does it: the slot is LEAVING until then.
    domain.announce_departures();
    free(participant);
}

/// Gives away the slot of one that leaves.
fn free(participant: &ParticipantSlot) {
    // SYNC JOIN (release): the slot is cleaned up. An exchange, for where a directory was removed two may come to this.
    let (from, to) = (PARTICIPANT_LEAVING, PARTICIPANT_FREE);
    let _ = participant.state.compare_exchange(from, to, Ordering::Release, Ordering::Relaxed);
    fault::hit(Point::LeaveFreed);
}

/// Writes into the log that `dead` has been recovered. The caller holds the recovery lock.
pub(super) fn append_death(domain: &Domain, dead: &Dead, counts: &Counts, duration: Duration) {
    // It may have died between joining and our look.
    append(domain, dead.slot, EVENT_JOINED, None);
    append(domain, dead.slot, EVENT_DIED, Some((counts, duration)));
}

/// Writes an event of the tenant of `slot`, unless it is in the log already; whether it was not. The caller holds the recovery lock, so
/// nobody else writes to the log; what the last one who did has written was visible before it gave the lock up.
fn append(domain: &Domain, slot: usize, kind: u32, recovery: Option<(&Counts, Duration)>) -> bool {
    let registry = domain.registry();
    let participant = &registry.participants[slot];
    finish_append(domain);
    let is_told = bit_of(kind).is_some_and(|bit| participant.told.load(Ordering::Relaxed) & bit != 0);
    // The bit may be damaged, and a death must be told. One that is about to be told again is among the last events.
    if is_told && (kind == EVENT_JOINED || has_left(domain, slot, participant)) {
        return false;
    }
    let before = registry.events.load(Ordering::Relaxed);
    let totals = totals_at(domain, before).unwrap_or_default();
    let recoveries = registry.recoveries.load(Ordering::Relaxed);
    let sequence = before.wrapping_add(1);
    let record = record(domain, sequence);
    // Readers skip a record whose sequence is not the one they look for. Release fence: nothing of what follows is there before it.
    record.sequence.store(0, Ordering::Relaxed);
    fence(Ordering::Release);
    let none = (&Counts::default(), Duration::ZERO);
    let (counts, duration) = recovery.unwrap_or(none);
    let fields = [
        (&record.kind, kind),
        (&record.exit_code, participant.exit_code.load(Ordering::Relaxed)),
        (&record.slot, slot as u32),
        (&record.epoch, participant.epoch.load(Ordering::Relaxed)),
        (&record.pid, participant.pid.load(Ordering::Relaxed)),
        (&record.freed, counts.freed),
        (&record.lost, counts.lost),
        (&record.redelivered, counts.redelivered),
    ];
    for (field, value) in fields {
        field.store(value, Ordering::Relaxed);
    }
    let totals = [
        (&record.recoveries, recoveries, u32::from(recovery.is_some())),
        (&record.freed_total, totals.freed, counts.freed),
        (&record.lost_total, totals.lost, counts.lost),
        (&record.redelivered_total, totals.redelivered, counts.redelivered),
    ];
    for (field, before, more) in totals {
        field.store(before.wrapping_add(more.into()), Ordering::Relaxed);
    }
    record.duration_ns.store(duration.as_nanos() as u64, Ordering::Relaxed);
    record.at_ms.store(now_ms(), Ordering::Relaxed);
    record.name.set(&participant.name.get());
    // SYNC EVENT (release), pairs with `read` (acquire).
    record.sequence.store(sequence, Ordering::Release);
    // SYNC EVENT (release), pairs with whoever looks how many there are (acquire): the record is there.
    registry.events.store(sequence, Ordering::Release);
    fault::hit(Point::EventLogged);
    finish_append(domain);
    true
}

/// Says of the newest event, in the slot that it is about and in the count of recoveries, that it is in the log. Before every event, too:
/// who wrote the last one may have been killed before it came to this.
fn finish_append(domain: &Domain) {
    let registry = domain.registry();
    let newest = registry.events.load(Ordering::Relaxed);
    let about = read(domain, newest, |_, record| {
        let words = [&record.slot, &record.epoch, &record.kind].map(|word| word.load(Ordering::Relaxed));
        (words, record.recoveries.load(Ordering::Relaxed))
    });
    let Some(([slot, epoch, kind], recoveries)) = about else { return };
    if kind == EVENT_DIED {
        // Whatever its slot says, which may be damaged: of two recoveries with one number, the second would be told to nobody.
        // Release: who sees that there is another recovery finds its event.
        registry.recoveries.fetch_max(recoveries, Ordering::Release);
    }
    let Some(participant) = domain.participants().get(slot as usize) else { return };
    let told = participant.told.load(Ordering::Relaxed);
    let Some(bit) = bit_of(kind).filter(|bit| told & bit == 0) else { return };
    if told >> TOLD_EPOCH_SHIFT != u64::from(epoch) {
        return;
    }
    // An exchange: if the slot was freed long ago, its next tenant may be writing its own epoch now.
    let _ = participant.told.compare_exchange(told, told | bit, Ordering::Relaxed, Ordering::Relaxed);
}

/// The bit of `told` for an event of that kind.
fn bit_of(kind: u32) -> Option<u64> {
    match kind {
        EVENT_JOINED => Some(TOLD_JOINED),
        EVENT_CLOSED | EVENT_EXITED | EVENT_EXITED_SOMEHOW | EVENT_DIED => Some(TOLD_LEFT),
        _ => None,
    }
}

/// Whether the log has the end of the tenant of `slot`.
fn has_left(domain: &Domain, slot: usize, participant: &ParticipantSlot) -> bool {
    let tenant = (slot as u32, participant.epoch.load(Ordering::Relaxed));
    let is_end = |_: u64, record: &EventRecord| {
        let [slot, epoch, kind] =
            [&record.slot, &record.epoch, &record.kind].map(|word| word.load(Ordering::Relaxed));
        (slot, epoch) == tenant && bit_of(kind) == Some(TOLD_LEFT)
    };
    remembered(domain, 0).any(|sequence| read(domain, sequence, is_end) == Some(true))
}

fn record(domain: &Domain, sequence: u64) -> &EventRecord {
    &domain.registry().log[(sequence % MAX_EVENTS as u64) as usize]
}

/// The numbers of the events after `seen` that the domain remembers.
pub(super) fn remembered(domain: &Domain, seen: u64) -> std::ops::RangeInclusive<u64> {
    let newest = domain.registry().events.load(Ordering::Acquire);
    seen.saturating_add(1).max(newest.saturating_sub(MAX_EVENTS as u64 - 1))..=newest
}

/// Reads from the record of number `sequence`, if that is there from the beginning to the end.
pub(super) fn read<T>(domain: &Domain, sequence: u64, f: impl FnOnce(u64, &EventRecord) -> T) -> Option<T> {
    let record = record(domain, sequence);
    // SYNC EVENT (acquire), pairs with `append` (release).
    let is_intact = || sequence != 0 && record.sequence.load(Ordering::Acquire) == sequence;
    let value = is_intact().then(|| f(sequence, record))?;
    // Overwritten while we read: a newer event has taken the place.
    fence(Ordering::Acquire);
    is_intact().then_some(value)
}

#[cfg(all(test, not(loom)))]
mod tests;
