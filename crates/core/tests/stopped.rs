//! Stopped is not dead: real processes, stopped by a signal at chosen points, are reported, harm nobody who need not wait for them, go on
//! where they were, and can be evicted. `cargo test -p millrace --features fault-points --test stopped`.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::{
    ErrorKind, QueueOptions, ShmManager, StallPhase, StallReport, SubscribeOptions, TopicOptions,
};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::process::Child;
use std::time::{Duration, Instant};
use support::{
    Isolated, PATIENCE, await_alone, await_recoveries, await_until, child, role, say, started, used,
};

/// What the children of all tests do: named after what they are stopped at, if anything.
fn work(role: &str, isolated: &Isolated) {
    let shm = isolated.open();
    match role {
        // Holds two buffers and one message, outside every operation.
        "hold" => {
            let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
            let _own = [shm.allocate(100).unwrap(), shm.allocate(100).unwrap()];
            let _message = queue.try_receive().unwrap().0.unwrap();
            say("ready");
            std::thread::park();
        }
        // Comes to the fault point as often as it takes.
        "send" => {
            let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
            for _ in 0..2 {
                queue.try_send(shm.allocate(100).unwrap()).unwrap();
            }
            say("ready");
        }
        "subscribe" => {
            let name = Some("n".to_owned());
            let options = SubscribeOptions { name, capacity: Some(1), ..SubscribeOptions::default() };
            let _queue = shm.subscribe("t", &options).unwrap();
            say("ready");
            std::thread::park();
        }
        "resize" => {
            shm.port_queue("q", &QueueOptions::default()).unwrap().resize(64).unwrap();
            say("ready");
        }
        // Recovers whoever dies, in its sentinel.
        "recover" => {
            say("ready");
            std::thread::park();
        }
        // Comes and goes.
        "visit" => say("ready"),
        other => panic!("no such role: {other}"),
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
}

/// Waits until the kernel has stopped it.
fn await_stop(child: &Child) {
    let pid = Pid::from_raw(child.id() as i32).unwrap();
    waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED).unwrap().unwrap();
}

/// Stops it outside everything: its sentinel must not be sweeping just then.
fn stop(child: &Child, isolated: &Isolated) {
    loop {
        signal(child, Signal::STOP);
        await_stop(child);
        if nobody_recovers(isolated) {
            return;
        }
        signal(child, Signal::CONT);
    }
}

fn nobody_recovers(isolated: &Isolated) -> bool {
    let lock = isolated.base.join(&isolated.name).join("recovery.lock");
    // Free, or not made yet.
    std::fs::File::open(&lock).map_or(true, |lock| lock.try_lock().is_ok())
}

/// Waits until exactly that many are stalled.
fn await_stalled(shm: &ShmManager, count: usize) -> Vec<StallReport> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (sequence, stalled) = (shm.wake_sequence(), shm.stalled());
        if stalled.len() == count {
            return stalled;
        }
        assert!(Instant::now() < deadline, "{stalled:?}, {count} wanted");
        // Every change rings.
        shm.park(sequence, PATIENCE);
    }
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A domain with a queue and three messages, and us in it.
fn scene(label: &str) -> (Isolated, ShmManager) {
    let isolated = Isolated::new(label);
    let shm = isolated.open();
    let queue = shm.port_queue("q", &QueueOptions::default()).unwrap();
    for _ in 0..3 {
        queue.try_send(shm.allocate(100).unwrap()).unwrap();
    }
    (isolated, shm)
}

/// The end of a test: nobody else is left, and then nothing is.
fn finish(isolated: &Isolated, shm: ShmManager) {
    await_alone(&shm);
    drop(shm);
    isolated.assert_gone();
}

/// The slot and epoch of a child.
fn identity(shm: &ShmManager, child: &Child) -> (usize, u32) {
    let snapshot = shm.snapshot().unwrap();
    let found = snapshot.participants.iter().find(|p| p.pid == child.id()).unwrap();
    (found.slot, found.epoch)
}

fn evict(shm: &ShmManager, child: &mut Child) -> millrace::RecoveryReport {
    let (slot, epoch) = identity(shm, child);
    let report = shm.evict(slot, epoch, PATIENCE).unwrap();
    assert_eq!((report.slot as usize, report.epoch, report.pid), (slot, epoch, child.id()));
    child.wait().unwrap();
    assert!(!shm.snapshot().unwrap().participants.iter().any(|p| p.pid == child.id()));
    let again = shm.evict(slot, epoch, PATIENCE).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound, "{again}");
    report
}

macro_rules! test_with_children {
    ($name:ident, $body:expr) => {
        #[test]
        fn $name() {
            if let Some((role, isolated)) = role() {
                work(&role, &isolated);
                return;
            }
            let body: fn(&str) = $body;
            body(stringify!($name));
        }
    };
}

test_with_children!(stopped_outside_it_is_reported_and_goes_on, |name| {
    let (isolated, shm) = scene("stopped");
    let child = started(name, "hold", &isolated);
    assert_eq!(shm.stalled(), []);
    for _ in 0..2 {
        stop(&child, &isolated);
        let stalled = await_stalled(&shm, 1);
        assert_eq!((stalled[0].pid, stalled[0].phase), (child.id(), StallPhase::Outside));
        let snapshot = shm.snapshot().unwrap();
        let phases: Vec<_> = snapshot.participants.iter().map(|p| (p.pid, p.stalled)).collect();
        assert!(phases.contains(&(child.id(), Some(StallPhase::Outside))), "{phases:?}");
        assert!(phases.contains(&(std::process::id(), None)), "{phases:?}");
        // It is alive: nobody takes anything from it.
        assert_eq!((shm.fsck().unwrap(), shm.recoveries()), (vec![], 0));
        signal(&child, Signal::CONT);
        await_stalled(&shm, 0);
    }
    end(child);
    await_recoveries(&shm, 1);
    assert_eq!(used(&shm), 2);
    finish(&isolated, shm);
});

test_with_children!(all_participants_but_one_may_be_stopped, |name| {
    let (isolated, shm) = scene("many");
    let children: Vec<_> = (0..4).map(|_| started(name, "recover", &isolated)).collect();
    children.iter().for_each(|child| stop(child, &isolated));
    let stalled = await_stalled(&shm, 4);
    assert!(stalled.iter().all(|s| s.phase == StallPhase::Outside), "{stalled:?}");
    signal(&children[2], Signal::CONT);
    let stalled = await_stalled(&shm, 3);
    assert!(stalled.iter().all(|s| s.pid != children[2].id()), "{stalled:?}");
    children.into_iter().for_each(end);
    await_recoveries(&shm, 4);
    assert_eq!(shm.stalled(), []);
    finish(&isolated, shm);
});

test_with_children!(stopped_inside_an_operation_it_holds_up_recoveries_only, |name| {
    let goes_on = |isolated: &Isolated, shm: ShmManager, mut inside: Child| {
        signal(&inside, Signal::CONT);
        await_recoveries(&shm, 1);
        await_stalled(&shm, 0);
        assert!(inside.wait().unwrap().success());
        assert_eq!(shm.fsck().unwrap(), []);
        finish(isolated, shm);
    };
    let (isolated, shm, inside) = loop {
        let (isolated, shm) = scene("inside");
        let fault = ("MILLRACE_FAULT", "PushPublished:1:stop".to_owned());
        let inside = child(name, "send", &isolated, &[fault]);
        await_stop(&inside);
        // Somebody dies meanwhile, and cannot be recovered.
        let prey = started(name, "hold", &isolated);
        end(prey);
        let stalled = await_stalled(&shm, 1);
        assert_eq!(stalled[0].pid, inside.id());
        if stalled[0].phase == StallPhase::Inside {
            break (isolated, shm, inside);
        }
        // It was stopped while its sentinel looked for the dead, too: then it has the recovery lock, and that is what is told of it.
        assert_eq!(stalled[0].phase, StallPhase::Recovering);
        goes_on(&isolated, shm, inside);
    };
    let queue = shm.find_queue("q").unwrap().unwrap();
    for _ in 0..500 {
        queue.try_send(shm.allocate(100).unwrap()).unwrap();
        drop(queue.try_receive().unwrap().0.unwrap());
    }
    assert_eq!(shm.recoveries(), 0);
    let late = shm.observer().fsck(Duration::from_millis(20)).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    assert!(late.to_string().contains(&inside.id().to_string()), "{late}");
    drop(queue);
    goes_on(&isolated, shm, inside);
});

test_with_children!(who_is_stopped_after_it_has_replaced_a_ring_has_nothing_more_to_do, |name| {
    loop {
        let (isolated, shm) = scene("replaced");
        // Has the ring before, too.
        let queue = shm.find_queue("q").unwrap().unwrap();
        let fault = ("MILLRACE_FAULT", "ReplaceResumed:1:stop".to_owned());
        let mut resizer = child(name, "resize", &isolated, &[fault]);
        await_stop(&resizer);
        // Else its sentinel has been stopped with the recovery lock: another time.
        let is_it = nobody_recovers(&isolated);
        if is_it {
            let prey = started(name, "hold", &isolated);
            end(prey);
            await_recoveries(&shm, 1);
            assert_eq!(shm.fsck().unwrap(), []);
        }
        signal(&resizer, Signal::CONT);
        assert!(resizer.wait().unwrap().success());
        assert_eq!(shm.fsck().unwrap(), []);
        assert_eq!(queue.instead().unwrap().options().capacity, 64);
        drop(queue);
        finish(&isolated, shm);
        if is_it {
            return;
        }
    }
});

/// Stops a recoverer at `point` of the recovery of a third process; returns it.
fn stopped_recoverer(name: &str, isolated: &Isolated, shm: ShmManager, point: &str) -> (Child, ShmManager) {
    let prey = started(name, "hold", isolated);
    let fault = ("MILLRACE_FAULT", format!("{point}:1:stop"));
    let recoverer = child(name, "recover", isolated, &[fault]);
    await_until("the recoverer does not join", || {
        shm.snapshot().unwrap().participants.iter().any(|p| p.pid == recoverer.id())
    });
    // We are away while it happens, so that it is the child that recovers.
    drop(shm);
    end(prey);
    await_stop(&recoverer);
    (recoverer, isolated.open())
}

test_with_children!(a_participant_stopped_with_the_recovery_lock_is_reported, |name| {
    let (isolated, shm) = scene("locked");
    let (recoverer, shm) = stopped_recoverer(name, &isolated, shm, "RecoverLocked");
    let stalled = await_stalled(&shm, 1);
    assert_eq!((stalled[0].pid, stalled[0].phase), (recoverer.id(), StallPhase::Recovering));
    assert!(shm.allocate(100).is_ok(), "nobody waits for it");
    let late = shm.observer().fsck(Duration::from_millis(20)).unwrap_err();
    assert!(late.to_string().contains(&recoverer.id().to_string()), "{late}");
    signal(&recoverer, Signal::CONT);
    await_recoveries(&shm, 1);
    await_stalled(&shm, 0);
    end(recoverer);
    await_recoveries(&shm, 2);
    finish(&isolated, shm);
});

test_with_children!(a_recoverer_stopped_while_it_waits_for_others_is_not_waited_for, |name| {
    let (isolated, shm) = scene("raised");
    let (recoverer, shm) = stopped_recoverer(name, &isolated, shm, "RecoverRaised");
    let queue = shm.find_queue("q").unwrap().unwrap();
    for _ in 0..100 {
        queue.try_send(shm.allocate(100).unwrap()).unwrap();
        drop(queue.try_receive().unwrap().0.unwrap());
    }
    let stalled = await_stalled(&shm, 1);
    assert_eq!((stalled[0].pid, stalled[0].phase), (recoverer.id(), StallPhase::Recovering));
    assert_eq!(shm.recoveries(), 0, "it holds the recovery lock");
    signal(&recoverer, Signal::CONT);
    await_recoveries(&shm, 1);
    await_stalled(&shm, 0);
    assert_eq!(shm.fsck().unwrap(), []);
    end(recoverer);
    await_recoveries(&shm, 2);
    finish(&isolated, shm);
});

test_with_children!(a_recoverer_stopped_in_the_middle_is_reported_by_those_who_wait, |name| {
    let (isolated, shm) = scene("middle");
    let (recoverer, shm) = stopped_recoverer(name, &isolated, shm, "RecoverForgotten");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| drop(shm.allocate(100).unwrap()));
        let stalled = await_stalled(&shm, 1);
        assert_eq!((stalled[0].pid, stalled[0].phase), (recoverer.id(), StallPhase::Recovering));
        assert!(!waiting.is_finished(), "it must wait: the recoverer may go on at any time");
        signal(&recoverer, Signal::CONT);
        waiting.join().unwrap();
    });
    await_recoveries(&shm, 1);
    await_stalled(&shm, 0);
    assert_eq!(shm.fsck().unwrap(), []);
    end(recoverer);
    await_recoveries(&shm, 2);
    finish(&isolated, shm);
});

test_with_children!(a_running_participant_is_evicted, |name| {
    let (isolated, shm) = scene("evict");
    let mut child = started(name, "hold", &isolated);
    let report = evict(&shm, &mut child);
    assert_eq!((report.freed, report.lost), (3, 1));
    assert_eq!(shm.fsck().unwrap(), []);
    finish(&isolated, shm);
});

test_with_children!(a_stopped_participant_is_evicted, |name| {
    let (isolated, shm) = scene("evict-stopped");
    let mut child = started(name, "hold", &isolated);
    stop(&child, &isolated);
    await_stalled(&shm, 1);
    let report = evict(&shm, &mut child);
    assert_eq!((report.freed, report.lost), (3, 1));
    assert_eq!(shm.stalled(), []);
    finish(&isolated, shm);
});

test_with_children!(a_participant_stopped_inside_an_operation_is_evicted, |name| {
    let (isolated, shm) = scene("evict-inside");
    let fault = ("MILLRACE_FAULT", "PushPublished:2:stop".to_owned());
    let mut inside = child(name, "send", &isolated, &[fault]);
    await_stop(&inside);
    let report = evict(&shm, &mut inside);
    assert_eq!((report.freed, report.lost), (0, 0), "what it had published is sent");
    assert_eq!((used(&shm), shm.fsck().unwrap()), (5, vec![]));
    finish(&isolated, shm);
});

test_with_children!(a_stopped_recoverer_is_evicted_and_its_work_is_done, |name| {
    for point in ["RecoverRaised", "RecoverQuiesced", "RecoverForgotten", "RecoverReported", "RecoverVacated"]
    {
        let (isolated, shm) = scene("evict-recoverer");
        let (mut recoverer, shm) = stopped_recoverer(name, &isolated, shm, point);
        evict(&shm, &mut recoverer);
        assert_eq!(shm.fsck().unwrap(), [], "{point}");
        assert_eq!((used(&shm), shm.stalled()), (2, vec![]), "{point}");
        finish(&isolated, shm);
    }
});

test_with_children!(who_is_meant_must_be_certain, |name| {
    let (isolated, shm) = scene("certain");
    let other = isolated.open();
    let child = started(name, "hold", &isolated);
    let (slot, epoch) = identity(&shm, &child);
    let kind = |slot, epoch| shm.evict(slot, epoch, PATIENCE).unwrap_err().kind();
    assert_eq!(kind(slot, epoch + 1), ErrorKind::NotFound, "the slot has another tenant");
    assert_eq!(kind(100, 1), ErrorKind::NotFound, "a slot that was never used");
    assert_eq!(kind(usize::MAX, 1), ErrorKind::NotFound);
    let mine = |of: &ShmManager| {
        let snapshot = shm.snapshot().unwrap();
        let me = snapshot.participants.iter().find(|p| p.slot == of.slot()).unwrap();
        (me.slot, me.epoch)
    };
    for of in [&shm, &other] {
        let (slot, epoch) = mine(of);
        assert_eq!(kind(slot, epoch), ErrorKind::InvalidArgument, "ourselves, or another one of our process");
    }
    assert!(shm.allocate(1).is_ok());
    assert_eq!(shm.snapshot().unwrap().participants.len(), 3);
    end(child);
    drop(other);
    finish(&isolated, shm);
});

/// A child in `role`, stopped where it first comes to `point`.
fn stopped_at(point: &str, test: &str, role: &str, isolated: &Isolated) -> Child {
    let child = child(test, role, isolated, &[("MILLRACE_FAULT", format!("{point}:1:stop"))]);
    await_stop(&child);
    child
}

#[test]
fn a_subscription_whose_maker_stopped_before_it_told_publishers_gets_what_is_published() {
    const NAME: &str = "a_subscription_whose_maker_stopped_before_it_told_publishers_gets_what_is_published";
    if let Some((role, isolated)) = role() {
        work(&role, &isolated);
        return;
    }
    let isolated = Isolated::new("untold");
    let shm = isolated.open();
    let topic = shm.topic("t", &TopicOptions::default()).unwrap();
    let publish = || topic.try_publish(shm.allocate(100).unwrap()).unwrap().delivered;
    assert_eq!(publish(), 0, "it has looked who there is");
    let maker = stopped_at("CreateListed", NAME, "subscribe", &isolated);
    let name = Some("n".to_owned());
    let options = SubscribeOptions { name, capacity: Some(1), ..SubscribeOptions::default() };
    let queue = shm.subscribe("t", &options).unwrap();
    assert_eq!(publish(), 1);
    assert!(queue.try_receive().unwrap().0.is_some());
    end(maker);
    queue.destroy();
}

/// A visitor is stopped at `point` with the domain lock; we leave, it goes on and leaves.
fn leaving_beside_a_stopped_visitor(test: &str, point: &str) {
    if let Some((role, isolated)) = role() {
        work(&role, &isolated);
        return;
    }
    let (isolated, shm) = scene("visitor");
    let mut visitor = child(test, "visit", &isolated, &[("MILLRACE_FAULT", format!("{point}:1:stop"))]);
    await_stop(&visitor);
    let observer = shm.observer();
    drop(shm);
    assert_eq!(
        observer.snapshot().unwrap().participants.len(),
        0,
        "leaving has waited for the lock, in vain"
    );
    drop(observer);
    // Whoever opens the domain has to wait, and is told for whom.
    let options = millrace::OpenOptions { timeout: Some(Duration::from_millis(1)), ..isolated.options() };
    let error = ShmManager::open(&isolated.name, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains(&format!("process {}", visitor.id())), "{error}");
    signal(&visitor, Signal::CONT);
    assert!(visitor.wait().unwrap().success());
    isolated.assert_gone();
}

#[test]
fn nobody_waits_to_leave_for_one_that_is_stopped_opening() {
    leaving_beside_a_stopped_visitor("nobody_waits_to_leave_for_one_that_is_stopped_opening", "OpenLocked");
}

#[test]
fn nobody_waits_to_leave_for_one_that_is_stopped_joining() {
    leaving_beside_a_stopped_visitor("nobody_waits_to_leave_for_one_that_is_stopped_joining", "JoinClaimed");
}

#[test]
fn one_that_is_stopped_removing_a_domain_keeps_only_those_away_who_want_it() {
    const NAME: &str = "one_that_is_stopped_removing_a_domain_keeps_only_those_away_who_want_it";
    if let Some((role, isolated)) = role() {
        work(&role, &isolated);
        return;
    }
    for point in ["LeaveLocked", "RemoveBegun", "RemoveCleared"] {
        let isolated = Isolated::new("removing");
        let mut last = child(NAME, "visit", &isolated, &[("MILLRACE_FAULT", format!("{point}:1:stop"))]);
        await_stop(&last);
        let options = millrace::OpenOptions { timeout: Some(Duration::from_millis(1)), ..isolated.options() };
        let error = ShmManager::open(&isolated.name, &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{point}: {error}");
        let opener = isolated.options();
        let name = isolated.name.clone();
        let opener = std::thread::spawn(move || drop(ShmManager::open(&name, &opener).unwrap()));
        signal(&last, Signal::CONT);
        assert!(last.wait().unwrap().success());
        opener.join().unwrap();
        isolated.assert_gone();
    }
}
