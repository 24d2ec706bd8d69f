//! Who has a queue open, for errors.

use super::PortQueue;
use crate::error::Error;

impl PortQueue {
    /// `error`, that this queue is not what was asked for, with who else has it open, and what to do.
    pub(crate) fn differs(&self, error: Error) -> Error {
        error.advising(&self.whose())
    }

    /// Who else has it open, in words, and what to do where it is not what was asked for.
    pub fn whose(&self) -> String {
        let users = self.instead().map_or_else(|| self.others(), |queue| queue.others());
        match users.len() {
            0 => "nobody else has it open: destroy it first, or leave out what differs".to_owned(),
            1 => format!("{} has it open", users[0]),
            _ => format!("{} have it open", users.join(", ")),
        }
    }

    /// Participants but this one that have it open.
    fn others(&self) -> Vec<String> {
        let (mine, attached) = (self.participant.slot, &self.header().attached);
        let others = self.domain().active().filter(|(slot, _)| *slot != mine && attached.contains(*slot));
        others.map(|(_, one)| one.described()).collect()
    }
}
