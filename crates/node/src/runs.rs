//! Flows that run, by number.

use millrace_flow::Run;

/// Runs of one isolate. Their numbers are not used again.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    runs: Vec<(u32, Run)>,
    next: u32,
}

impl Runs {
    pub(crate) fn add(&mut self, run: Run) -> u32 {
        self.next += 1;
        self.runs.push((self.next, run));
        self.next
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Run> {
        self.runs.iter().find(|(other, _)| *other == id).map(|(_, run)| run)
    }

    pub(crate) fn take(&mut self, id: u32) -> Option<Run> {
        let at = self.runs.iter().position(|(other, _)| *other == id)?;
        Some(self.runs.swap_remove(at).1)
    }

    /// Stops them all.
    pub(crate) fn end(&mut self) {
        self.runs.clear();
    }
}
