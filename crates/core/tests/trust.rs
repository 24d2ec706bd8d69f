//! What is trusted: directories, files and objects of ours alone, and of these the very ones that were recorded. And what is left of a
//! domain when its users are gone, whatever has become of its memory or its directory.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{ErrorKind, FindingKind, OpenOptions, QueueOptions, ShmManager};
use rustix::fs::Mode;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use support::{Isolated, child, role, say};

/// Somebody else.
const OTHER: u32 = 65_533;
/// An ordinary user, to be one where the superuser would be let in.
const ORDINARY: u32 = 65_534;

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: needs two users, so it has to be run by the superuser");
    }
    root
}

/// Runs `f` in a thread that is an ordinary user; `isolated` belongs to it from then on.
fn as_ordinary_user<T: Send + 'static>(isolated: &Isolated, f: impl FnOnce() -> T + Send + 'static) -> T {
    rustix::fs::chown(&isolated.base, Some(uid(ORDINARY)), None).unwrap();
    let thread = std::thread::spawn(|| {
        // Of this thread and those it starts only.
        rustix::thread::set_thread_res_uid(uid(ORDINARY), uid(ORDINARY), uid(ORDINARY)).unwrap();
        f()
    });
    thread.join().unwrap()
}

fn uid(raw: u32) -> rustix::process::Uid {
    rustix::process::Uid::from_raw(raw)
}

fn persistent(isolated: &Isolated, persist: bool) -> OpenOptions {
    OpenOptions { persist: Some(persist), ..isolated.options() }
}

/// Leaves a domain with a queue, a message and a pool segment, and nobody in it.
fn persisted(label: &str) -> Isolated {
    let isolated = Isolated::new(label);
    let shm = ShmManager::open(&isolated.name, &persistent(&isolated, true)).unwrap();
    let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
    queue.try_send(shm.allocate(100).unwrap()).unwrap();
    drop((queue, shm));
    isolated
}

fn object(isolated: &Isolated, what: &str) -> PathBuf {
    let objects = isolated.objects();
    let name = objects.iter().find(|name| name.contains(what));
    Path::new("/dev/shm").join(name.unwrap_or_else(|| panic!("no {what} in {objects:?}")))
}

/// Puts an object of somebody else, with the same content and open to all, in the place of one.
fn replace_by_foreign(object: &Path) {
    let content = fs::read(object).unwrap();
    fs::remove_file(object).unwrap();
    fs::write(object, content).unwrap();
    fs::set_permissions(object, PermissionsExt::from_mode(0o666)).unwrap();
    std::os::unix::fs::chown(object, Some(OTHER), None).unwrap();
}

fn is_mapped(object: &Path) -> bool {
    fs::read_to_string("/proc/self/maps").unwrap().contains(object.file_name().unwrap().to_str().unwrap())
}

/// Opens, sends, receives, closes; the domain is a fresh one.
fn works_afresh(isolated: &Isolated) {
    let shm = ShmManager::open(&isolated.name, &persistent(isolated, false)).unwrap();
    assert!(shm.find_queue("q").unwrap().is_none(), "it is the old domain");
    let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
    queue.try_send(shm.allocate(100).unwrap()).unwrap();
    assert!(queue.try_receive().unwrap().0.is_some());
    drop((queue, shm));
    isolated.assert_gone();
}

#[test]
fn a_registry_of_somebody_else_is_not_mapped_and_blocks_nobody() {
    if !is_root() {
        return;
    }
    let isolated = persisted("foreign-registry");
    let registry = object(&isolated, ".registry.");
    replace_by_foreign(&registry);
    let before = fs::read(&registry).unwrap();
    let error = millrace::Observer::open(&isolated.name, Some(&isolated.base)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    for word in [OTHER.to_string().as_str(), registry.file_name().unwrap().to_str().unwrap()] {
        assert!(error.to_string().contains(word), "{word} in: {error}");
    }
    let shm = isolated.open();
    assert!(!is_mapped(&registry));
    assert!(shm.find_queue("q").unwrap().is_none(), "it is the old domain");
    drop(shm);
    assert_eq!(fs::read(&registry).unwrap(), before, "it is not ours to write");
    isolated.assert_gone();
    fs::remove_file(&registry).unwrap();
}

#[test]
fn a_pool_of_somebody_else_is_an_error_that_names_it_and_blocks_nobody() {
    if !is_root() {
        return;
    }
    let isolated = persisted("foreign-pool");
    let pool = object(&isolated, ".pool.0.");
    replace_by_foreign(&pool);
    let error = ShmManager::open(&isolated.name, &isolated.options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    let owner = format!("user {OTHER}");
    for word in [owner.as_str(), pool.file_name().unwrap().to_str().unwrap(), "persist: false"] {
        assert!(error.to_string().contains(word), "{word} in: {error}");
    }
    assert!(!is_mapped(&pool));
    works_afresh(&isolated);
    assert_eq!(fs::metadata(&pool).unwrap().uid(), OTHER, "it is not ours to remove");
    fs::remove_file(&pool).unwrap();
}

#[test]
fn an_ordinary_user_is_not_let_into_objects_of_others_either() {
    if !is_root() {
        return;
    }
    let isolated = Isolated::new("ordinary");
    let (name, base) = (isolated.name.clone(), isolated.base.clone());
    as_ordinary_user(&isolated, move || {
        let isolated = Isolated::of_parent(name, base);
        let shm = ShmManager::open(&isolated.name, &persistent(&isolated, true)).unwrap();
        drop(shm.allocate(100).unwrap());
        drop(shm);
    });
    let registry = object_of(&isolated, ORDINARY);
    replace_by_foreign(&registry);
    fs::set_permissions(&registry, PermissionsExt::from_mode(0o600)).unwrap();
    let (name, base) = (isolated.name.clone(), isolated.base.clone());
    as_ordinary_user(&isolated, move || {
        let isolated = Isolated::of_parent(name, base);
        let error = millrace::Observer::open(&isolated.name, Some(&isolated.base)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
        assert!(error.to_string().contains(&format!("user {OTHER}")), "{error}");
        works_afresh(&isolated);
    });
    fs::remove_file(&registry).unwrap();
}

/// The registry of a domain of user `user`.
fn object_of(isolated: &Isolated, user: u32) -> PathBuf {
    let meta = fs::metadata(isolated.base.join(&isolated.name)).unwrap();
    let prefix = format!("millrace.{user}.{:x}.{:x}.registry.", meta.dev(), meta.ino());
    let mut entries = fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.to_str().unwrap().contains(&prefix)).unwrap()
}

#[test]
fn an_object_of_ours_is_used_only_if_it_is_the_recorded_one_and_ours_alone() {
    let isolated = Isolated::new("another");
    let shm = isolated.open();
    drop(shm.allocate(100).unwrap());
    let pool = object(&isolated, ".pool.0.");
    let second = isolated.open();
    // Open to others: whoever has it open may read along.
    fs::set_permissions(&pool, PermissionsExt::from_mode(0o660)).unwrap();
    let error = second.allocate(100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert!(error.to_string().contains("0660"), "{error}");
    // Another one of the same name and content.
    let copy = fs::read(&pool).unwrap();
    let kept = fs::File::open(&pool).unwrap();
    fs::remove_file(&pool).unwrap();
    fs::write(&pool, copy).unwrap();
    fs::set_permissions(&pool, PermissionsExt::from_mode(0o600)).unwrap();
    let error = second.allocate(100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("another one"), "{error}");
    drop((kept, second, shm));
    isolated.assert_gone();
    assert!(!pool.exists(), "ours, so it goes with the domain");
}

#[test]
fn a_directory_that_was_copied_does_not_lead_to_the_original() {
    let isolated = Isolated::new("original");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
    let copy = isolated.base.join("copy");
    fs::create_dir(&copy).unwrap();
    fs::set_permissions(&copy, PermissionsExt::from_mode(0o700)).unwrap();
    for link in ["registry", "pool.0"] {
        fs::copy(shm.directory().join(link), copy.join(link)).unwrap();
    }
    let other = ShmManager::open("copy", &isolated.options()).unwrap();
    assert!(other.find_queue("q").unwrap().is_none(), "it is the original");
    drop(other);
    queue.try_send(shm.allocate(100).unwrap()).unwrap();
    let third = isolated.open();
    assert!(third.find_queue("q").unwrap().unwrap().try_receive().unwrap().0.is_some());
    drop((queue, third, shm));
    isolated.assert_gone();
}

/// A process with a domain of its own dies; `damage` does something to what is left.
fn after_a_death(test: &str, damage: impl FnOnce(&Isolated)) {
    if let Some((_, isolated)) = role() {
        let shm = isolated.open();
        let _queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
        let _held = shm.allocate(100).unwrap();
        say("ready");
        std::thread::park();
        return;
    }
    let isolated = Isolated::new("dead");
    let mut child = support::started(test, "victim", &isolated);
    child.kill().unwrap();
    child.wait().unwrap();
    damage(&isolated);
    works_afresh(&isolated);
}

#[test]
fn a_domain_of_the_dead_opens_although_a_pool_is_gone() {
    after_a_death("a_domain_of_the_dead_opens_although_a_pool_is_gone", |isolated| {
        fs::remove_file(object(isolated, ".pool.0.")).unwrap();
    });
}

#[test]
fn a_domain_of_the_dead_opens_although_a_pool_is_cut_off() {
    after_a_death("a_domain_of_the_dead_opens_although_a_pool_is_cut_off", |isolated| {
        fs::File::options().write(true).open(object(isolated, ".pool.0.")).unwrap().set_len(4096).unwrap();
    });
}

#[test]
fn a_domain_of_the_dead_opens_although_a_link_is_damaged() {
    after_a_death("a_domain_of_the_dead_opens_although_a_link_is_damaged", |isolated| {
        fs::write(isolated.base.join(&isolated.name).join("pool.0"), "/dev/null").unwrap();
    });
}

#[test]
fn a_domain_of_the_dead_opens_although_all_its_memory_is_gone() {
    after_a_death("a_domain_of_the_dead_opens_although_all_its_memory_is_gone", |isolated| {
        isolated.objects().iter().for_each(|name| fs::remove_file(format!("/dev/shm/{name}")).unwrap());
    });
}

#[test]
fn the_dead_are_recovered_although_a_pool_is_gone() {
    if let Some((_, isolated)) = role() {
        let shm = isolated.open();
        let queue = shm.find_queue("q").unwrap().unwrap();
        queue.try_send(shm.allocate(100).unwrap()).unwrap();
        let _held = [shm.allocate(100), shm.allocate(1 << 20)];
        say("ready");
        std::thread::park();
        return;
    }
    let isolated = Isolated::new("gone");
    let shm = isolated.open();
    let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
    let rings = support::used(&shm);
    let mut child = support::started("the_dead_are_recovered_although_a_pool_is_gone", "victim", &isolated);
    // The last one that was made is that of the large buffer.
    let pools = isolated.objects().into_iter().filter(|name| name.contains(".pool."));
    let number = |name: &String| name.split(".pool.").nth(1).unwrap().split('.').next().unwrap().to_owned();
    let last = pools.max_by_key(|name| number(name).parse::<u32>().unwrap()).unwrap();
    fs::remove_file(format!("/dev/shm/{last}")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    support::await_recoveries(&shm, 1);
    let snapshot = shm.snapshot().unwrap();
    assert_eq!((snapshot.participants.len(), snapshot.damaged.len()), (1, 1), "{snapshot:#?}");
    let findings = shm.fsck().unwrap();
    assert!(!findings.is_empty() && findings.iter().all(|f| f.kind == FindingKind::Segment), "{findings:?}");
    assert_eq!(support::used(&shm), rings + 1, "what it held of the other pool is free");
    assert!(queue.try_receive().unwrap().0.is_some());
    assert_eq!(support::used(&shm), rings);
    drop((queue, shm));
    isolated.assert_gone();
}

#[test]
fn a_persistent_domain_that_is_damaged_says_how_to_start_afresh() {
    let isolated = persisted("persistent");
    fs::File::options().write(true).open(object(&isolated, ".pool.0.")).unwrap().set_len(4096).unwrap();
    for persist in [None, Some(true)] {
        let options = OpenOptions { persist, ..isolated.options() };
        let error = ShmManager::open(&isolated.name, &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Truncated, "{error}");
        assert!(error.to_string().contains("persist: false"), "{error}");
    }
    works_afresh(&isolated);
}

#[test]
fn closing_after_the_directory_was_removed_spares_the_domain_that_took_its_place() {
    let isolated = Isolated::new("removed");
    let old = isolated.open();
    drop(old.allocate(100).unwrap());
    let old_objects = isolated.objects();
    assert_eq!(old_objects.len(), 2);
    // Again, if a sentinel makes a lock file in there at this moment.
    let directory = isolated.base.join(&isolated.name);
    support::await_until("it is removed", || fs::remove_dir_all(&directory).is_ok());
    let new = isolated.open();
    let queue = new.port_queue("q", &QueueOptions::default()).unwrap();
    let error = old.separate_observer().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "it looks at the other one: {error}");
    drop(old);
    assert!(old_objects.iter().all(|name| !Path::new("/dev/shm").join(name).exists()), "its own are gone");
    let newer = isolated.open();
    queue.try_send(new.allocate(100).unwrap()).unwrap();
    assert!(newer.find_queue("q").unwrap().unwrap().try_receive().unwrap().0.is_some());
    drop((queue, new, newer));
    isolated.assert_gone();
}

#[test]
fn a_umask_that_takes_everything_does_no_harm() {
    const NAME: &str = "a_umask_that_takes_everything_does_no_harm";
    if let Some((_, isolated)) = role() {
        rustix::process::umask(Mode::from_raw_mode(0o777));
        // The superuser is let in everywhere: modes matter to others.
        let (name, base) = (isolated.name.clone(), isolated.base.clone());
        as_ordinary_user(&isolated, move || {
            let isolated = Isolated::of_parent(name, base);
            for round in 0..2 {
                let shm = isolated.open();
                let second = isolated.open();
                let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
                queue.try_send(shm.allocate(100).unwrap()).unwrap();
                let found = second.find_queue("q").unwrap().unwrap();
                assert!(found.try_receive().unwrap().0.is_some(), "{round}");
                drop((queue, found, shm, second));
                isolated.assert_gone();
            }
            // What one that was killed in between leaves.
            fs::create_dir(isolated.base.join(&isolated.name)).unwrap();
            fs::write(isolated.base.join(format!(".{}.lock", isolated.name)), "").unwrap();
            drop(isolated.open());
            isolated.assert_gone();
        });
        println!("done");
        return;
    }
    if !is_root() {
        return;
    }
    let isolated = Isolated::new("umask");
    let out = child(NAME, "victim", &isolated, &[]).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && text.contains("done"), "{text}");
}

#[test]
fn what_cannot_be_opened_leaves_nothing_behind() {
    let isolated = Isolated::new("refused");
    let options = OpenOptions { max_bytes: Some(1), ..isolated.options() };
    assert_eq!(ShmManager::open(&isolated.name, &options).unwrap_err().kind(), ErrorKind::InvalidArgument);
    isolated.assert_gone();
    // A directory that others can look into stays as it is; nothing is added to it.
    let directory = isolated.base.join(&isolated.name);
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(
        ShmManager::open(&isolated.name, &isolated.options()).unwrap_err().kind(),
        ErrorKind::Permission
    );
    fs::remove_dir(&directory).unwrap();
}

#[test]
fn those_who_leave_at_the_same_time_leave_nothing() {
    let isolated = Isolated::new("together");
    for _ in 0..200 {
        let all: Vec<_> = (0..3).map(|_| isolated.open()).collect();
        let barrier = std::sync::Arc::new(std::sync::Barrier::new(all.len()));
        let threads: Vec<_> = all
            .into_iter()
            .map(|shm| {
                let barrier = std::sync::Arc::clone(&barrier);
                std::thread::spawn(move || {
                    barrier.wait();
                    drop(shm);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        isolated.assert_gone();
    }
}

#[test]
fn children_that_are_just_being_forked_keep_no_lock() {
    let isolated = Isolated::new("forked");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let forks = std::sync::Arc::clone(&stop);
    // Each has all our descriptors for a moment, before it executes anything.
    let forking = std::thread::spawn(move || {
        while !forks.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(std::process::Command::new("true").status().unwrap().success());
        }
    });
    for _ in 0..200 {
        drop(isolated.open());
        isolated.assert_gone();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    forking.join().unwrap();
}

#[test]
fn the_last_leaves_nothing_beside_one_that_is_refused() {
    let isolated = std::sync::Arc::new(Isolated::new("beside"));
    for round in 0..300_u32 {
        let shm = isolated.open();
        let other = std::sync::Arc::clone(&isolated);
        let refused = std::thread::spawn(move || {
            let options = OpenOptions { max_bytes: Some(1 << 20), ..other.options() };
            // In time to be refused, or to find nobody.
            if let Err(error) = ShmManager::open(&other.name, &options) {
                assert_eq!(error.kind(), ErrorKind::OptionsMismatch, "{error}");
            }
        });
        // At another moment of its opening each time.
        (0..round * 20).for_each(|_| std::hint::spin_loop());
        drop(shm);
        refused.join().unwrap();
        isolated.assert_gone();
    }
}
