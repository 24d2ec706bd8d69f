//! What the modules above rely on, with the system itself.

use super::*;
use crate::os::Access;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// A directory of its own.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(label: &str) -> Self {
        let path = std::env::temp_dir().join(format!("millrace-os-{label}-{}", std::process::id()));
        assert!(Dir::make(&path).unwrap());
        assert!(!Dir::make(&path).unwrap(), "it exists");
        Self(path)
    }

    fn dir(&self) -> Dir {
        Dir::open(&self.0, Access::None).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let removed = std::fs::remove_dir(&self.0);
        assert!(std::thread::panicking() || removed.is_ok(), "{removed:?}");
    }
}

#[test]
fn names_are_free_at_once_though_files_are_open() {
    let scratch = Scratch::new("names");
    let dir = scratch.dir();
    let file = dir.open_file("a", true).unwrap();
    assert!(dir.has_file("a", &file).unwrap());
    dir.remove_file("a").unwrap();
    assert_eq!(dir.id_of("a").unwrap(), None);
    assert!(dir.open_file("a", false).unwrap_err().is_not_found());
    let again = dir.open_file("a", true).unwrap();
    assert!(!dir.has_file("a", &file).unwrap(), "another one has the name");
    assert!(dir.has_file("a", &again).unwrap());
    dir.rename("a", "b").unwrap();
    assert_eq!(dir.entries().unwrap(), ["b"]);
    dir.remove_file("b").unwrap();
    dir.remove_file("b").unwrap();
}

#[test]
fn directories_are_removed_though_they_are_open_and_never_with_a_file_in_them() {
    let scratch = Scratch::new("directories");
    let dir = scratch.dir();
    assert!(Dir::make(&scratch.0.join("inner")).unwrap(), "any name will do");
    let inner = Dir::open(&scratch.0.join("inner"), Access::None).unwrap();
    inner.write_line("line", "text").unwrap();
    assert_eq!(inner.read_line("line").unwrap().unwrap(), "text");
    dir.remove_dir("inner").unwrap_err();
    assert!(inner.is_in_place());
    inner.remove_file("line").unwrap();
    dir.remove_dir("inner").unwrap();
    assert!(!inner.is_in_place());
    assert_eq!(dir.entries().unwrap(), [""; 0]);
    dir.remove_dir("inner").unwrap();
}

#[test]
fn a_lock_is_taken_once_and_says_who_has_it() {
    let scratch = Scratch::new("lock");
    let dir = scratch.dir();
    let (file, other) = (dir.open_file("lock", true).unwrap(), dir.open_file("lock", false).unwrap());
    let me = Process::open(std::process::id()).unwrap().unwrap();
    assert!(!me.holds_lock(&dir, "lock").unwrap(), "nobody does");
    assert!(try_lock(&file).unwrap());
    assert!(!try_lock(&other).unwrap());
    let mut text = String::new();
    (&other).read_to_string(&mut text).unwrap();
    assert_eq!(text.split(' ').next().unwrap(), std::process::id().to_string());
    assert!(me.holds_lock(&dir, "lock").unwrap());
    unlock(&file).unwrap();
    assert!(!me.holds_lock(&dir, "lock").unwrap(), "it has given it up");
    assert!(try_lock(&other).unwrap());
    dir.remove_file("lock").unwrap();
}

#[test]
fn an_object_is_removed_while_it_is_mapped() {
    let name = object_name(crate::os::FileId { device: 1, inode: 2 }, "test", crate::os::random());
    let id = create_object(&name, 3 * page_bytes()).unwrap().unwrap();
    assert_eq!(create_object(&name, page_bytes()).unwrap(), None, "the name is taken");
    let (mapping, other) = (Mapping::open(&name, id).unwrap(), Mapping::open(&name, id).unwrap());
    assert_eq!(mapping.bytes(), 3 * page_bytes());
    // SAFETY: the first byte of a mapping of ours.
    unsafe { mapping.start().write_volatile(7) };
    // SAFETY: as above.
    assert_eq!(unsafe { other.start().read_volatile() }, 7);
    remove_object(&name).unwrap();
    assert!(Mapping::open(&name, id).unwrap_err().to_string().contains("is gone"));
    assert_eq!(objects(&name), [""; 0]);
    mapping.retire();
    // SAFETY: as above, of the page that has taken its place.
    assert_eq!(unsafe { mapping.start().read_volatile() }, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { other.start().read_volatile() }, 7);
    drop((mapping, other));
}

#[test]
fn a_doorbell_is_heard_by_those_who_sleep_on_it_and_by_an_event_loop() {
    let scratch = Scratch::new("doorbell");
    let dir = scratch.dir();
    assert!(dir.open_doorbell("bell", false).unwrap_err().is_not_found());
    let (own, other) = (dir.open_doorbell("bell", true).unwrap(), dir.open_doorbell("bell", false).unwrap());
    let mut watch = DeathWatch::default();
    other.notify();
    // It would be over in a minute.
    let begun = std::time::Instant::now();
    watch.wait(&own, Duration::from_secs(60));
    assert!(begun.elapsed() < Duration::from_secs(50));
    let crate::os::LoopAddress::Pipe(path) = own.loop_end().unwrap().release() else { unreachable!() };
    let mut pipe = File::open(Path::new(&path)).unwrap();
    for _ in 0..3 {
        other.notify();
        assert_eq!(pipe.read(&mut [0; 8]).unwrap(), 1);
    }
    dir.write_line("bell", "something else").unwrap();
    let refused = dir.open_doorbell("bell", false).unwrap_err();
    assert_eq!(refused.kind(), crate::ErrorKind::Corrupt, "{refused}");
    dir.remove_file("bell").unwrap();
}

#[test]
#[cfg(not(loom))]
fn sleepers_on_a_word_are_woken_wherever_it_is_mapped() {
    use crate::sync::{AtomicU32, Ordering};
    let name = object_name(crate::os::FileId { device: 1, inode: 3 }, "test", crate::os::random());
    let id = create_object(&name, page_bytes()).unwrap().unwrap();
    let (here, there) = (Mapping::open(&name, id).unwrap(), Mapping::open(&name, id).unwrap());
    remove_object(&name).unwrap();
    let word = |mapping: &Mapping| {
        // SAFETY: a word of a mapping that outlives its use below; page-aligned.
        let word: &'static AtomicU32 = unsafe { &*mapping.start().cast() };
        word
    };
    let (sleeper_word, waker_word) = (word(&here), word(&there));
    let begun = std::time::Instant::now();
    let sleepers = [(); 3].map(|()| std::thread::spawn(|| wait_on(sleeper_word, 0, Duration::from_secs(60))));
    waker_word.store(1, Ordering::Release);
    wake_all(waker_word, 3);
    for sleeper in sleepers {
        sleeper.join().unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(50));
    wait_on(sleeper_word, 1, Duration::from_millis(1));
}
