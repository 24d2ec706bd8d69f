//! Who has a queue open, for errors.

use super::PortQueue;
use crate::error::Error;
use crate::layout::split_id;
use crate::sync::Ordering;

impl PortQueue {
    /// `error`, that this queue is not what was asked for, with who else has it open, and what to do.
    pub(crate) fn differs(&self, error: Error) -> Error {
        let users = self.others();
        error.advising(&match users.len() {
            0 => "nobody else has it open: destroy it first, or leave out what differs".to_owned(),
            1 => format!("{} has it open", users[0]),
            _ => format!("{} have it open", users.join(", ")),
        })
    }

    /// Participants but this one that have a reference to the ring.
    fn others(&self) -> Vec<String> {
        let (segment, index) = split_id(self.listed.ring);
        let Some(pool) = self.participant.held_pool(segment) else { return Vec::new() };
        let has_it = |slot: usize| {
            slot != self.participant.slot
                && pool.row(slot).get(index).is_some_and(|entry| entry.load(Ordering::Relaxed) != 0)
        };
        self.domain().active().filter(|(slot, _)| has_it(*slot)).map(|(_, one)| one.described()).collect()
    }
}
