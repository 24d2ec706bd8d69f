//! The processes, from outside.

use crate::support::Isolated;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

pub(crate) struct Worker {
    pub(crate) role: String,
    pub(crate) birth: u64,
    pub(crate) child: Child,
}

impl Worker {
    pub(crate) fn start(role: &str, isolated: &Isolated, birth: u64) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .env("MILLRACE_TEST_ROLE", format!("{role} {birth}"))
            .env("MILLRACE_TEST_NAME", &isolated.name);
        command.env("MILLRACE_TEST_BASE", &isolated.base).stdout(Stdio::piped()).stdin(Stdio::null());
        Self { role: role.to_owned(), birth, child: command.spawn().unwrap() }
    }

    pub(crate) fn hear_ready(&mut self) {
        let mut line = String::new();
        let _ = BufReader::new(self.child.stdout.as_mut().unwrap()).read_line(&mut line);
    }

    /// Kills it. None of them ends by itself before its queue does.
    pub(crate) fn kill(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "{} {} has ended by itself: {ended:?}", self.role, self.birth);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it, and lets it go on after `time`, unless it has been killed by then.
    pub(crate) fn stop_for(&self, time: Duration) -> JoinHandle<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).unwrap();
        std::thread::spawn(move || {
            std::thread::sleep(time);
            let _ = kill_process(pid, Signal::CONT);
        })
    }
}
