//! Domains of a test's own, and children that take part in them. Used by the tests of other crates, too.

#![allow(dead_code, clippy::allow_attributes, clippy::allow_attributes_without_reason, missing_docs)]

use millrace::{OpenOptions, ShmManager};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A domain of its own in a directory of its own; `assert_gone` checks that nothing is left.
pub(crate) struct Isolated {
    pub(crate) name: String,
    pub(crate) base: PathBuf,
    /// The process that made the directory, and removes it.
    owner: u32,
}

impl Isolated {
    pub(crate) fn new(label: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{label}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let base = std::env::temp_dir().join(format!("millrace-test-{name}"));
        std::fs::create_dir_all(&base).unwrap();
        // Elsewhere it is as private as the directory of temporary files.
        #[cfg(unix)]
        std::fs::set_permissions(&base, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        Self { name, base, owner: std::process::id() }
    }

    /// That of another process, which has told where it is.
    pub(crate) fn of_parent(name: String, base: PathBuf) -> Self {
        Self { name, base, owner: 0 }
    }

    pub(crate) fn options(&self) -> OpenOptions {
        OpenOptions { directory: Some(self.base.clone()), ..OpenOptions::default() }
    }

    pub(crate) fn open(&self) -> ShmManager {
        ShmManager::open(&self.name, &self.options()).unwrap()
    }

    /// Names of the shared memory objects of this domain, as long as its directory exists.
    #[cfg(unix)]
    pub(crate) fn objects(&self) -> Vec<String> {
        use std::os::unix::fs::MetadataExt;
        let Ok(meta) = std::fs::metadata(self.base.join(&self.name)) else { return Vec::new() };
        let prefix = format!("millrace.{}.{:x}.{:x}.", meta.uid(), meta.dev(), meta.ino());
        let names =
            std::fs::read_dir("/dev/shm").unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(&prefix)).collect()
    }

    /// As its links say.
    #[cfg(windows)]
    pub(crate) fn objects(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.base.join(&self.name)).into_iter().flatten().flatten();
        let is_link = |name: &str| name == "registry" || name.starts_with("pool.");
        let links = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_link));
        let lines = links.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
        lines.filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
    }

    /// Everything has been removed, the empty base directory included.
    pub(crate) fn assert_gone(&self) {
        let left: Vec<_> =
            std::fs::read_dir(&self.base).map(|d| d.map(|e| e.unwrap().path()).collect()).unwrap_or_default();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            let _ = std::fs::remove_dir_all(&self.base);
        }
    }
}

/// Runs test `name` of this binary again in a child with `role` set: the test starts with [`role`].
pub(crate) fn child(test: &str, role: &str, isolated: &Isolated, extra: &[(&str, String)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env("MILLRACE_TEST_ROLE", role);
    command.env("MILLRACE_TEST_NAME", &isolated.name);
    command.env("MILLRACE_TEST_BASE", &isolated.base);
    command.env("MILLRACE_TEST_PARENT", std::process::id().to_string());
    command.envs(extra.iter().map(|(k, v)| (*k, v.clone())));
    command.stdout(Stdio::piped()).stdin(Stdio::piped()).spawn().unwrap()
}

/// The role of this process and its domain, if it is a child.
pub(crate) fn role() -> Option<(String, Isolated)> {
    let role = std::env::var("MILLRACE_TEST_ROLE").ok()?;
    die_with_parent();
    let name = std::env::var("MILLRACE_TEST_NAME").unwrap();
    let base = std::env::var_os("MILLRACE_TEST_BASE").unwrap().into();
    Some((role, Isolated::of_parent(name, base)))
}

/// A parent that fails must not leave children behind.
#[cfg(windows)]
fn die_with_parent() {
    use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
    use windows_sys::Win32::System::Threading::{
        INFINITE, OpenProcess, PROCESS_SYNCHRONIZE, WaitForSingleObject,
    };
    let Ok(parent) = std::env::var("MILLRACE_TEST_PARENT") else { return };
    // SAFETY: takes numbers only.
    let handle = unsafe { OpenProcess(PROCESS_SYNCHRONIZE, 0, parent.parse().unwrap()) };
    if handle.is_null() {
        std::process::exit(0);
    }
    // SAFETY: it has just been opened, and is nobody else's.
    let parent = unsafe { OwnedHandle::from_raw_handle(handle) };
    std::thread::spawn(move || {
        // SAFETY: an open handle.
        unsafe { WaitForSingleObject(parent.as_raw_handle(), INFINITE) };
        std::process::exit(0);
    });
}

/// A parent that fails must not leave children behind.
#[cfg(unix)]
fn die_with_parent() {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
    // One that died before this sends no signal. Nobody: it is in another pid namespace.
    let parent = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().to_string());
    if let (Ok(was), Some(is)) = (std::env::var("MILLRACE_TEST_PARENT"), parent)
        && was != is
    {
        std::process::exit(0);
    }
}

/// Whether a process has been killed at a fault point.
pub(crate) fn was_killed(status: ExitStatus) -> bool {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
    #[cfg(windows)]
    return status.code() == Some(9);
}

/// Buffers that carry messages: queued, or held by somebody.
pub(crate) fn used(shm: &ShmManager) -> u64 {
    shm.snapshot().unwrap().pools.iter().map(|pool| pool.used - pool.rings).sum()
}
