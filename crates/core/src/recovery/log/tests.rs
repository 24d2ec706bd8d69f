use super::*;
use crate::recovery::reports_since;
use crate::{OpenOptions, ShmManager};

#[test]
fn each_recovery_has_a_number_of_its_own_whatever_the_slots_say() {
    let name = format!("log-{}", std::process::id());
    let open = || ShmManager::open(&name, &OpenOptions::default()).unwrap();
    let (shm, _others) = (open(), [open(), open(), open()]);
    let domain = &shm.allocator().participant.domain;
    let slots = &domain.registry().participants;
    for (slot, name) in ["one", "two", "three"].into_iter().enumerate().map(|(at, name)| (at + 1, name)) {
        slots[slot].name.set(name);
        // Of another tenant than the event's.
        slots[slot].told.store(u64::MAX, Ordering::Relaxed);
        append(domain, slot, EVENT_DIED, Some((&Counts::default(), Duration::ZERO)));
        let reports = reports_since(domain, slot as u64 - 1);
        let told: Vec<_> = reports.iter().map(|report| (report.sequence, report.name.as_str())).collect();
        assert_eq!(told, [(slot as u64, name)]);
        assert_eq!(domain.registry().recoveries.load(Ordering::Relaxed), slot as u64);
    }
}
