//! Rules of this tree that no linter knows.

use crate::root;
use std::path::{Path, PathBuf};

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
    out
}

#[test]
fn generated_files_are_fresh() {
    for (path, text) in crate::generate::files() {
        let on_disk = std::fs::read_to_string(root().join(path)).unwrap_or_default();
        assert_eq!(on_disk, text, "{path} is stale: run `cargo xtask generate`");
    }
}

#[test]
fn shared_atomics_have_one_door() {
    let core = root().join("crates/core/src");
    for path in rust_files(&core) {
        let text = std::fs::read_to_string(&path).unwrap();
        let is_door = path.starts_with(core.join("sync"));
        for (number, line) in text.lines().enumerate() {
            // Flags, counters and pointers of one process may come from std: they are never in a segment.
            let private = line.contains("AtomicBool")
                || line.contains("AtomicPtr")
                || line.contains("AtomicUsize")
                || line.contains("atomic::Ordering");
            assert!(
                is_door || private || !line.contains("sync::atomic"),
                "{}:{}: take atomics from crate::sync",
                path.display(),
                number + 1
            );
        }
    }
}

#[test]
fn files_fit_on_a_few_screens() {
    for path in rust_files(&root().join("crates")) {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines: split it", path.display());
    }
}

#[test]
fn layers_point_downwards() {
    // From the bottom up: a module knows the ones before it.
    let core = [
        "os", "layout", "wait", "segment", "liveness", "pool", "registry", "buffer", "queue", "topic",
        "service", "recovery", "stats", "observer", "manager",
    ];
    let node = [
        "block",
        "error",
        "options",
        "array_buffer",
        "leases",
        "handles",
        "waits",
        "session",
        "runs",
        "isolate",
        "hot",
        "observer",
        "manager",
        "topics",
        "services",
        "flow",
    ];
    let flow = [
        "options",
        "ports",
        "work",
        "link",
        "stamp",
        "stats",
        "port",
        "io",
        "block",
        "clock",
        "cell",
        "run_state",
        "task",
        "idle",
        "run",
        "scheduler",
        "blocks",
    ];
    for (crate_name, layers) in [("core", &core[..]), ("flow", &flow[..]), ("node", &node[..])] {
        let source = root().join("crates").join(crate_name).join("src");
        for (height, module) in layers.iter().enumerate() {
            let folder = source.join(module);
            let mut files = if folder.is_dir() { rust_files(&folder) } else { Vec::new() };
            files.extend(Some(folder.with_extension("rs")).filter(|file| file.exists()));
            assert!(!files.is_empty(), "{} is no module", folder.display());
            files.iter().for_each(|file| knows_none_of(file, &layers[height + 1..]));
        }
    }
}

fn knows_none_of(path: &Path, above: &[&str]) {
    let text = std::fs::read_to_string(path).unwrap();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let known = above.iter().find(|module| line.contains(&format!("crate::{module}::")));
        assert!(known.is_none(), "{}: must not know {known:?}: {line}", path.display());
    }
}

#[test]
fn systems_are_known_in_one_place() {
    let core = root().join("crates/core/src");
    for path in rust_files(&core).iter().filter(|path| !path.starts_with(core.join("os"))) {
        let text = std::fs::read_to_string(path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let words = [
                "rustix::",
                "windows_sys::",
                "std::os::",
                "target_os",
                "target_vendor",
                "cfg(unix)",
                "cfg(windows)",
                "shared_memory::",
            ];
            let known = words.iter().find(|word| line.contains(**word));
            assert!(known.is_none(), "{}:{}: {known:?} belongs into os/", path.display(), number + 1);
        }
    }
}

#[test]
fn ends_of_waits_are_computed_in_one_place() {
    let core = root().join("crates/core/src");
    for path in rust_files(&root().join("crates")).iter().filter(|path| !path.starts_with(core.join("os"))) {
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        let text = std::fs::read_to_string(path).unwrap();
        // Split, so that this line is not one of them.
        let unchecked = concat!("Instant::now()", " +");
        assert!(
            is_test || !text.contains(unchecked),
            "{}: use os::deadline: a sum can overflow",
            path.display()
        );
    }
}
