//! Names of each kind, mailboxes that end with their owners, and who hears of it.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::service::{ParticipantId, Role};
use millrace::{QueueOptions, ShmManager, SubscribeOptions, TopicOptions};
use std::time::Instant;
use support::{Isolated, PATIENCE, await_recoveries, role, say, started};

/// Waits until the count of departures is another; it is raised before this participant is notified.
fn await_departure(shm: &ShmManager, before: u32) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let sequence = shm.wake_sequence();
        if shm.departures() != before {
            return;
        }
        assert!(shm.park(sequence, deadline - Instant::now()), "nobody was notified of a departure");
    }
}

fn mailboxes(shm: &ShmManager) -> usize {
    shm.snapshot().unwrap().services.iter().map(|service| service.mailboxes.len()).sum()
}

#[test]
fn every_kind_has_names_of_its_own() {
    let isolated = Isolated::new("kinds");
    let shm = isolated.open();
    let options = QueueOptions::default();
    let queue = shm.port_queue("jobs", &options).unwrap();
    let work = shm.work_queue("jobs", &options).unwrap();
    let requests = shm.requests("jobs", &options).unwrap();
    let topic = shm.topic("jobs", &TopicOptions::default()).unwrap();
    let subscription = shm.subscribe("jobs", &SubscribeOptions::default()).unwrap();
    let mailbox = shm.create_mailbox("jobs", Role::Client, 4).unwrap();
    let all = [&queue, &work, &requests, &subscription, &mailbox];
    for (sent, queue) in all.iter().enumerate() {
        let mut buffer = shm.allocate(1).unwrap();
        buffer.set_sequence(sent as u64);
        queue.try_send(buffer).unwrap();
    }
    for (sent, queue) in all.iter().enumerate() {
        let message = queue.try_receive().unwrap().0.unwrap();
        assert_eq!(message.sequence(), sent as u64);
        assert!(queue.try_receive().unwrap().0.is_none());
    }
    let snapshot = shm.snapshot().unwrap();
    let names =
        |queues: &[millrace::QueueSnapshot]| queues.iter().map(|q| q.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&snapshot.queues), names(&snapshot.work_queues)),
        (vec!["jobs".into()], vec!["jobs".into()])
    );
    assert_eq!(snapshot.topics.len(), 1);
    assert_eq!(snapshot.services.len(), 1);
    assert_eq!(snapshot.services[0].requests.as_ref().unwrap().sent, 1);
    assert_eq!(snapshot.services[0].mailboxes[0].role, "client");
    assert_eq!(work.stats().unwrap().received, 1);
    queue.destroy();
    assert!(!work.is_destroyed() && !requests.is_destroyed() && !topic.is_destroyed());
    assert!(shm.find_work_queue("jobs").unwrap().is_some() && shm.find_queue("jobs").unwrap().is_none());
    assert!(queue.stats().is_none());
    drop((queue, work, requests, topic, subscription, mailbox));
    drop(shm);
    isolated.assert_gone();
}

#[test]
fn mailboxes_end_with_an_orderly_leave_and_others_hear_of_it() {
    let isolated = Isolated::new("leave");
    let (shm, other) = (isolated.open(), isolated.open());
    let (id, before) = (other.id(), shm.departures());
    let mailbox = other.create_mailbox("echo", Role::Server, 4).unwrap();
    let again = other.create_mailbox("echo", Role::Server, 4).unwrap();
    assert!(std::sync::Arc::ptr_eq(&mailbox, &again), "one end, whoever asks");
    let client = other.create_mailbox("echo", Role::Client, 4).unwrap();
    let end = shm.find_mailbox("echo", Role::Server, id).unwrap().unwrap();
    end.try_send(shm.allocate(10).unwrap()).unwrap();
    assert!(shm.find_mailbox("echo", Role::Server, shm.id()).unwrap().is_none());
    assert_eq!((shm.servers("echo"), mailboxes(&shm)), (vec![id], 2));
    assert!(shm.is_alive(id.slot, id.epoch) && !shm.is_alive(id.slot, id.epoch + 1));
    drop(other);
    await_departure(&shm, before);
    assert!(!shm.is_alive(id.slot, id.epoch));
    assert_eq!((shm.servers("echo"), mailboxes(&shm)), (vec![], 0));
    assert!(end.is_destroyed());
    assert!(shm.find_mailbox("echo", Role::Server, id).unwrap().is_none());
    // The next tenant of the slot is somebody else. It comes when nothing is left of the one before.
    drop((mailbox, again, client));
    let next = isolated.open();
    assert_eq!(next.id(), ParticipantId { slot: id.slot, epoch: id.epoch + 1 });
    assert!(shm.find_mailbox("echo", Role::Client, next.id()).unwrap().is_none());
    drop(end);
    assert!(shm.fsck().unwrap().is_empty());
}

#[test]
fn mailboxes_end_with_a_death_and_others_hear_of_it() {
    const NAME: &str = "mailboxes_end_with_a_death_and_others_hear_of_it";
    if let Some((_, isolated)) = role() {
        let shm = isolated.open();
        let mailbox = shm.create_mailbox("echo", Role::Server, 4).unwrap();
        let _client = shm.create_mailbox("echo", Role::Client, 4).unwrap();
        mailbox.try_send(shm.allocate(10).unwrap()).unwrap();
        say("ready");
        std::thread::park();
    }
    let isolated = Isolated::new("death");
    let shm = isolated.open();
    let mut child = started(NAME, "owner", &isolated);
    let [id] = shm.servers("echo")[..] else { panic!("one server") };
    let end = shm.find_mailbox("echo", Role::Server, id).unwrap().unwrap();
    let before = shm.departures();
    child.kill().unwrap();
    child.wait().unwrap();
    await_departure(&shm, before);
    assert!(!shm.is_alive(id.slot, id.epoch));
    assert_eq!((shm.servers("echo"), mailboxes(&shm)), (vec![], 0));
    assert!(end.is_destroyed());
    drop(end);
    assert!(shm.fsck().unwrap().is_empty());
    let used: u64 = shm.snapshot().unwrap().pools.iter().map(|pool| pool.used).sum();
    assert_eq!(used, 0, "the message in the mailbox went with it");
}

#[test]
fn destroying_a_service_removes_the_mailboxes_of_everybody() {
    let isolated = Isolated::new("destroy");
    let (shm, other) = (isolated.open(), isolated.open());
    let requests = other.requests("echo", &QueueOptions::default()).unwrap();
    let mailbox = other.create_mailbox("echo", Role::Client, 4).unwrap();
    let elsewhere = other.create_mailbox("other", Role::Client, 4).unwrap();
    assert!(shm.destroy_service("echo").unwrap());
    assert!(requests.is_destroyed() && mailbox.is_destroyed() && !elsewhere.is_destroyed());
    assert!(!shm.destroy_service("echo").unwrap());
    assert!(shm.destroy_service("no/name").is_err());
}

/// Kind of row AA: of many deaths at once every one is reported, and what cannot be remembered says so.
#[test]
fn a_hundred_deaths_at_once_are_a_hundred_reports() {
    const NAME: &str = "a_hundred_deaths_at_once_are_a_hundred_reports";
    if let Some((_, isolated)) = role() {
        let all: Vec<_> = (0..100).map(|_| isolated.open()).collect();
        let held: Vec<_> = all.iter().map(|shm| shm.allocate(10).unwrap()).collect();
        say("ready");
        std::thread::park();
        drop(held);
    }
    let isolated = Isolated::new("hundred");
    let shm = isolated.open();
    for round in 1..=2 {
        let mut child = started(NAME, "hundred", &isolated);
        child.kill().unwrap();
        child.wait().unwrap();
        await_recoveries(&shm, round * 100);
        let reports = shm.reports_since((round - 1) * 100);
        assert_eq!((reports.len(), reports.iter().map(|report| report.missed).sum::<u64>()), (100, 0));
        assert_eq!(reports.iter().map(|report| report.freed).sum::<u32>(), 100);
        assert_eq!(shm.snapshot().unwrap().recovered.freed, round * 100);
    }
    // Who never asked has missed the first: it is told how many.
    let reports = shm.reports_since(0);
    // Of 401 events it remembers 256: 56 deaths of the first hundred, who joined before them, and all of the second.
    assert_eq!((reports.len(), reports[0].sequence, reports[0].missed), (156, 45, 44));
    assert!(reports[1..].iter().all(|report| report.missed == 0));
}

/// Killed between leaving and telling: the others hear of it all the same.
#[cfg(feature = "fault-points")]
#[test]
fn a_leave_that_is_killed_half_way_is_heard_of() {
    use std::io::Write;
    const NAME: &str = "a_leave_that_is_killed_half_way_is_heard_of";
    if let Some((_, isolated)) = role() {
        let shm = isolated.open();
        let _mailbox = shm.create_mailbox("echo", Role::Server, 4).unwrap();
        say("ready");
        std::io::stdin().read_line(&mut String::new()).unwrap();
        drop(shm);
        return;
    }
    for point in ["LeaveBegun", "DepartureRaised", "LeaveFreed"] {
        let isolated = Isolated::new("half");
        let shm = isolated.open();
        let fault = ("MILLRACE_FAULT", format!("{point}:1:kill"));
        let mut child = support::child(NAME, "leaver", &isolated, &[fault]);
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        support::hear(&mut out, "ready");
        let [id] = shm.servers("echo")[..] else { panic!("one server") };
        let before = shm.departures();
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let status = child.wait().unwrap();
        assert!(support::was_killed(status), "{point}: {status}");
        await_departure(&shm, before);
        assert!(!shm.is_alive(id.slot, id.epoch) && shm.servers("echo").is_empty(), "{point}");
        // The slot is free again, also if its tenant died on the way there.
        let deadline = Instant::now() + PATIENCE;
        while isolated.open().slot() != id.slot {
            assert!(Instant::now() < deadline, "{point}: the slot stays occupied");
            shm.park(shm.wake_sequence(), std::time::Duration::from_millis(5));
        }
        assert!(shm.fsck().unwrap().is_empty(), "{point}");
    }
}
