//! What an all-seeing observer knows: nobody in the protocol reads it, it only finds out what went wrong.

/// How a process ended, if it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Alive,
    Left,
    Killed,
}

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) fate: Fate,
    /// Buffers its application has in hand, once per reference.
    pub(crate) in_hand: Vec<usize>,
    /// Buffers of messages it has taken from at-most-once queues and neither released nor handed on; with the queue as long as only
    /// the slot there says so.
    pub(crate) custody: Vec<(usize, Option<usize>)>,
    /// Somebody has begun to recover it.
    pub(crate) attempted: bool,
}

impl Process {
    pub(crate) fn discharge(&mut self, buffer: usize, queue: Option<usize>) {
        if let Some(at) = self.custody.iter().position(|has| *has == (buffer, queue)) {
            self.custody.swap_remove(at);
        }
    }

    /// The message is in its ledger now.
    pub(crate) fn in_ledger(&mut self, buffer: usize, queue: usize) {
        self.discharge(buffer, Some(queue));
        self.custody.push((buffer, None));
    }
}

/// One message in one queue.
#[derive(Debug)]
pub(crate) struct Publication {
    /// What its buffer says.
    pub(crate) content: u64,
    /// Its sender has been told that it is in the queue.
    pub(crate) settled: bool,
    /// Who popped it.
    pub(crate) taken_by: Option<usize>,
    /// Who took it out other than by receiving: an overflow policy, a sender that takes back, a destroyer.
    pub(crate) withdrawn_by: Option<usize>,
    /// Who has it under lease.
    pub(crate) holder: Option<usize>,
    /// Who gave it back last, in which turn.
    pub(crate) given_back: Option<(usize, u64)>,
    pub(crate) deliveries: u32,
    pub(crate) acked: bool,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: usize,
    /// The process that made it.
    pub(crate) owner: usize,
    pub(crate) at_least_once: bool,
    pub(crate) destroyed: bool,
    /// By position.
    pub(crate) publications: Vec<Publication>,
    /// The message that comes next, or one before it.
    pub(crate) first: u64,
}

/// Totals of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) redelivered: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) recoveries: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) processes: Vec<Process>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) contents: u64,
    /// Buffers that have been shared since they were filled.
    pub(crate) shared: std::collections::BTreeSet<usize>,
    /// Threads that sleep until somebody has gone.
    pub(crate) watches: Vec<crate::departures::Watch>,
    /// The process behind each participant slot.
    pub(crate) tenants: [usize; crate::world::SLOTS],
    pub(crate) totals: Totals,
}

impl Oracle {
    /// A process, if any, whose application has `buffer` in hand.
    pub(crate) fn holder_of(&self, buffer: usize) -> Option<usize> {
        self.processes.iter().position(|p| p.fate == Fate::Alive && p.in_hand.contains(&buffer))
    }

    /// A message was published at `position`.
    pub(crate) fn published(&mut self, queue: usize, position: u64, content: u64) -> Result<(), String> {
        let publications = &mut self.queues[queue].publications;
        if position != publications.len() as u64 {
            return Err(format!("queue {queue}: published at {position}, not at {}", publications.len()));
        }
        let fresh = Publication {
            content,
            settled: false,
            taken_by: None,
            withdrawn_by: None,
            holder: None,
            given_back: None,
            deliveries: 0,
            acked: false,
        };
        publications.push(fresh);
        self.totals.published += 1;
        Ok(())
    }

    /// The message at `position` was popped by process `by`.
    pub(crate) fn popped(&mut self, queue: usize, position: u64, by: usize) -> Result<(), String> {
        let queue_ = &mut self.queues[queue];
        let is_out = |p: &Publication| p.taken_by.is_some() || p.withdrawn_by.is_some();
        while queue_.publications.get(queue_.first as usize).is_some_and(is_out) {
            queue_.first += 1;
        }
        if position != queue_.first {
            return Err(format!("queue {queue}: {position} was popped, {} was first", queue_.first));
        }
        queue_.publications[position as usize].taken_by = Some(by);
        Ok(())
    }

    /// The message at `position` was leased to process `by`.
    pub(crate) fn leased(&mut self, queue: usize, position: u64, by: usize) -> Result<(), String> {
        let message = &mut self.queues[queue].publications[position as usize];
        if let Some(holder) = message.holder
            && self.processes[holder].fate == Fate::Alive
        {
            return Err(format!("queue {queue}: {position} was leased to {by} while {holder} has it"));
        }
        message.holder = Some(by);
        Ok(())
    }

    /// The application of process `by` received the message of `position`, which says `content`.
    pub(crate) fn delivered(
        &mut self,
        queue: usize,
        position: u64,
        by: usize,
        attempt: u32,
        content: Option<u64>,
    ) -> Result<(), String> {
        let at_least_once = self.queues[queue].at_least_once;
        let message = &mut self.queues[queue].publications[position as usize];
        let wrong = |what: &str| Err(format!("queue {queue}, message {position}: {what}: {message:?}"));
        if content != Some(message.content) {
            return wrong(&format!("process {by} received {content:?}"));
        }
        if message.withdrawn_by.is_some() {
            return wrong("delivered after it was withdrawn");
        }
        if message.acked {
            return wrong("delivered after it was acknowledged");
        }
        if message.deliveries > 0 && (!at_least_once || attempt == 1) {
            return wrong("delivered twice, and not flagged");
        }
        message.deliveries += 1;
        self.totals.delivered += 1;
        self.totals.redelivered += u64::from(attempt > 1);
        Ok(())
    }

    /// Process `by`, which began to look in turn `since`, is told that nothing more will come out of the queue.
    pub(crate) fn ended(&self, queue: usize, by: usize, since: u64) -> Result<(), String> {
        let queue_ = &self.queues[queue];
        let open = queue_.publications.iter().position(|p| {
            // What it holds itself (another thread of it may have given that back meanwhile) does not keep it waiting.
            let given_back = p.given_back.is_some_and(|(process, turn)| process == by && turn >= since);
            let own = p.holder == Some(by) || given_back;
            let over = p.withdrawn_by.is_some()
                || if queue_.at_least_once { p.acked || own } else { p.taken_by.is_some() };
            p.settled && !over && !queue_.destroyed
        });
        match open {
            Some(at) => Err(format!(
                "queue {queue}: process {by} was told it has ended, but message {at} is not done: {:?}",
                queue_.publications[at]
            )),
            None => Ok(()),
        }
    }

    /// Messages that would be lost if `process` died; those of a destroyed queue are not missed.
    pub(crate) fn custody(&self, process: usize) -> i32 {
        let counts = |queue: &Option<usize>| queue.is_none_or(|queue| !self.queues[queue].destroyed);
        self.processes[process].custody.iter().filter(|(_, queue)| counts(queue)).count() as i32
    }

    /// At the end of everything: nothing is missing.
    pub(crate) fn account(&self) -> Result<(), String> {
        for (number, queue) in self.queues.iter().enumerate().filter(|(_, q)| !q.destroyed) {
            for (position, message) in queue.publications.iter().enumerate() {
                let by_dead = message.taken_by.is_some_and(|p| self.processes[p].fate == Fate::Killed);
                let done = message.withdrawn_by.is_some()
                    || if queue.at_least_once { message.acked } else { message.deliveries == 1 || by_dead };
                if !done {
                    return Err(format!("queue {number}: message {position} is lost: {message:?}"));
                }
            }
        }
        Ok(())
    }
}
