//! One run: chaos, then calm, then the account.

use crate::app::{examiner, helper, sentinel, worker};
use crate::departures::watcher;
use crate::rules::Rules;
use crate::sim::Sim;

/// What one or many runs came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) runs: u64,
    pub(crate) turns: u64,
    pub(crate) kills: u64,
    /// Of these, of a process that was recovering others.
    pub(crate) recoverers: u64,
    pub(crate) recoveries: u64,
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) redelivered: u64,
    pub(crate) dead_lettered: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.runs, other.runs),
            (&mut self.turns, other.turns),
            (&mut self.kills, other.kills),
            (&mut self.recoverers, other.recoverers),
            (&mut self.recoveries, other.recoveries),
            (&mut self.published, other.published),
            (&mut self.delivered, other.delivered),
            (&mut self.redelivered, other.redelivered),
            (&mut self.dead_lettered, other.dead_lettered),
        ];
        for (sum, more) in pairs {
            *sum += more;
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} runs, {} steps, {} kills ({} of a recoverer), {} recoveries, {} messages, {} deliveries, {} again, {} dead-lettered",
            self.runs,
            self.turns,
            self.kills,
            self.recoverers,
            self.recoveries,
            self.published,
            self.delivered,
            self.redelivered,
            self.dead_lettered
        )
    }
}

/// Run number `seed`. `Err`: what went wrong first.
pub(crate) fn run(seed: u64, rules: Rules) -> Result<Tally, String> {
    let mut chaos = Chaos::new(seed, rules);
    while chaos.kills < chaos.wanted && chaos.sim.turns() < 15_000 {
        chaos.step()?;
    }
    // What a death leaves behind is repaired by the next recovery; what goes wrong without one should show as well.
    chaos.peace = usize::MAX;
    let quiet = chaos.sim.turns() + chaos.sim.shared.random.below(3000) as u64;
    while chaos.sim.turns() < quiet {
        chaos.step()?;
    }
    chaos.sim.shared.calm.set(true);
    chaos.sim.settle(None)?;
    chaos.sim.spawn([examiner as fn(_) -> _]);
    chaos.sim.settle(None)?;
    chaos.sim.everything_is_back()?;
    let totals = chaos.sim.shared.world.borrow().oracle.totals;
    Ok(Tally {
        runs: 1,
        turns: chaos.sim.turns(),
        kills: chaos.kills,
        recoverers: chaos.recoverers,
        recoveries: totals.recoveries,
        published: totals.published,
        delivered: totals.delivered,
        redelivered: totals.redelivered,
        dead_lettered: totals.dead_lettered,
    })
}

struct Chaos {
    sim: Sim,
    population: usize,
    /// Kills come once in so many turns.
    peace: usize,
    wanted: u64,
    kills: u64,
    recoverers: u64,
}

impl Chaos {
    fn new(seed: u64, rules: Rules) -> Self {
        let random = crate::sim::Random::new(!seed);
        let sim = Sim::new(seed, 4 + random.below(5), rules);
        let (population, peace) = (2 + random.below(3), [60, 200, 600, 2000, 20_000][random.below(5)]);
        Self { sim, population, peace, wanted: 1 + random.below(20) as u64, kills: 0, recoverers: 0 }
    }

    fn step(&mut self) -> Result<(), String> {
        let shared = std::rc::Rc::clone(&self.sim.shared);
        let random = &shared.random;
        if random.one_in(40) && self.sim.alive().len() < self.population {
            if random.one_in(3) {
                self.sim.spawn([worker as fn(_) -> _, helper, sentinel, watcher]);
            } else {
                self.sim.spawn([worker as fn(_) -> _, sentinel, watcher]);
            }
        }
        if random.one_in(400) {
            let alive = self.sim.alive();
            if !alive.is_empty() {
                self.sim.stop(alive[random.below(alive.len())], 20 + random.below(500) as u64);
            }
        }
        let recoverer = shared.world.borrow().kernel.recovery;
        let peace = if recoverer.is_some() { self.peace / 4 } else { self.peace };
        if random.one_in(peace.max(1)) {
            self.kill(recoverer);
        }
        self.sim.turn()
    }

    /// Kills somebody; sometimes several at once.
    fn kill(&mut self, recoverer: Option<usize>) {
        loop {
            let random = &self.sim.shared.random;
            let alive = self.sim.alive();
            if alive.is_empty() {
                return;
            }
            let victim = match random.below(3) {
                0 => self.sim.current(),
                1 => recoverer.filter(|process| alive.contains(process)),
                _ => None,
            };
            let victim = victim.unwrap_or_else(|| alive[random.below(alive.len())]);
            self.recoverers += u64::from(Some(victim) == recoverer);
            let more = random.one_in(4);
            self.sim.kill(victim);
            self.kills += 1;
            if !more {
                return;
            }
        }
    }
}
