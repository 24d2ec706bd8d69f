//! Processes by `fork`, and what they cost.

use crate::options::Options;
use std::time::Duration;

/// A process that runs a function of ours.
pub(crate) struct Process {
    id: libc::pid_t,
}

impl Process {
    /// Parts from here: `run` runs in a process of its own, which ends with it, and with this one at the latest.
    pub(crate) fn fork(run: impl FnOnce()) -> Self {
        // SAFETY: this process has one thread, so the child may do anything.
        let id = unsafe { libc::fork() };
        assert!(id >= 0, "no process: {}", std::io::Error::last_os_error());
        if id == 0 {
            // SAFETY: a plain system call.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
            // SAFETY: ends the process; what must be dropped was dropped by `run`.
            unsafe { libc::_exit(i32::from(ended.is_err())) };
        }
        Self { id }
    }

    /// This one.
    pub(crate) fn own() -> Self {
        Self { id: std::process::id() as libc::pid_t }
    }

    /// CPU time so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let mut clock = 0;
        // SAFETY: `clock` is ours to write.
        let known = unsafe { libc::clock_getcpuclockid(self.id, &raw mut clock) };
        assert_eq!(known, 0, "no CPU clock of process {}", self.id);
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is ours to write.
        unsafe { libc::clock_gettime(clock, &raw mut time) };
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    }

    /// Resident memory now.
    pub(crate) fn rss_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/statm", self.id)).unwrap_or_default();
        let pages: f64 = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
        pages * 4096.0 / f64::from(1 << 20)
    }

    /// Waits for its end, and insists that it was a good one.
    pub(crate) fn join(self) {
        let mut status = 0;
        // SAFETY: `status` is ours to write.
        let id = unsafe { libc::waitpid(self.id, &raw mut status, 0) };
        assert!(id == self.id && status == 0, "process {} ended with status {status}", self.id);
    }
}

/// Puts process number `index` on a core, the cores in turn, if it waits awake: two that wait for each other on one core would
/// measure the scheduler. Processes that sleep stay where the kernel wants them.
pub(crate) fn pin(options: &Options, index: usize) {
    if !options.spin {
        return;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // SAFETY: a plain bit set; all zeros is the empty one.
    let mut set = unsafe { std::mem::zeroed::<libc::cpu_set_t>() };
    // SAFETY: the number of a core that exists.
    unsafe { libc::CPU_SET(index % cores, &mut set) };
    // SAFETY: the set is ours, of the size that is said.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
}

/// How long the near side has nothing to do.
pub(crate) fn rest(duration: Duration) {
    if !duration.is_zero() {
        std::thread::sleep(duration);
    }
}

/// Turns of a loop that waits awake: on a machine with fewer cores than processes whoever waits must let the other one run.
#[derive(Default)]
pub(crate) struct Patience {
    turns: u32,
}

impl Patience {
    const TURNS_MAX: u32 = 512;

    pub(crate) fn turn(&mut self) {
        self.turns += 1;
        if self.turns < Self::TURNS_MAX {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}
