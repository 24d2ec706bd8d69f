//! What the processes of one run like to do. No two runs have the same habits, so that rare things are common in some of them.

use crate::sim::Random;
use crate::world::{Options, Overflow};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Open,
    Fill,
    Send,
    Publish,
    PublishToAll,
    Put,
    Get,
    Peek,
    Receive,
    LetGo,
    GiveBack,
    Detach,
    Close,
    Destroy,
    Read,
    /// Make a mailbox, or look into it.
    Serve,
    /// Send something into a mailbox.
    Post,
}

/// How often each act is done where nothing is exaggerated.
const USUAL: [(Act, usize); 17] = [
    (Act::Open, 12),
    (Act::Fill, 15),
    (Act::Send, 20),
    (Act::Publish, 7),
    (Act::PublishToAll, 6),
    (Act::Put, 16),
    (Act::Get, 14),
    (Act::Peek, 5),
    (Act::Receive, 22),
    (Act::LetGo, 10),
    (Act::GiveBack, 6),
    (Act::Detach, 3),
    (Act::Close, 1),
    (Act::Destroy, 1),
    (Act::Read, 3),
    (Act::Serve, 2),
    (Act::Post, 3),
];

#[derive(Debug)]
pub(crate) struct Habits {
    /// Shares of each act, added up.
    shares: [usize; USUAL.len()],
    /// All queues are made like this one, or each differently.
    queue: Option<Options>,
}

impl Habits {
    pub(crate) fn new(random: &Random) -> Self {
        let mut sum = 0;
        let shares = USUAL.map(|(_, usual)| {
            sum += usual * [1, 2, 4, 12][random.below(4)];
            sum
        });
        let queue = random.one_in(2).then(|| any_queue(random));
        Self { shares, queue }
    }

    pub(crate) fn pick(&self, random: &Random) -> Act {
        let at = random.below(self.shares[USUAL.len() - 1]);
        let index = self.shares.iter().position(|share| at < *share);
        USUAL[index.unwrap_or_default()].0
    }

    pub(crate) fn queue(&self, random: &Random) -> Options {
        self.queue.unwrap_or_else(|| any_queue(random))
    }
}

fn any_queue(random: &Random) -> Options {
    let at_least_once = random.one_in(2);
    let policies =
        [Overflow::Block, Overflow::Block, Overflow::DropOldest, Overflow::DropNewest, Overflow::Latest];
    let (capacity, overflow) = ([1, 2, 4][random.below(3)], policies[random.below(policies.len())]);
    let has_limit = overflow != Overflow::Latest && random.one_in(3);
    Options {
        capacity,
        limit: if has_limit { 1 + random.below(capacity) } else { 0 },
        at_least_once,
        max_deliveries: if at_least_once && random.one_in(2) { 1 + random.below(2) as u32 } else { 0 },
        overflow,
    }
}
