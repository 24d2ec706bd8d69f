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
    // Of another tenant than the event's, told already, damaged in no way.
    let damage = [u64::MAX, 1 << TOLD_EPOCH_SHIFT | TOLD_JOINED | TOLD_LEFT, 1 << TOLD_EPOCH_SHIFT];
    for (at, (name, told)) in ["one", "two", "three"].into_iter().zip(damage).enumerate() {
        let slot = at + 1;
        slots[slot].name.set(name);
        slots[slot].told.store(told, Ordering::Relaxed);
        append(domain, slot, EVENT_DIED, Some((&Counts::default(), Duration::ZERO)));
        let reports = reports_since(domain, slot as u64 - 1);
        let told: Vec<_> = reports.iter().map(|report| (report.sequence, report.name.as_str())).collect();
        assert_eq!(told, [(slot as u64, name)]);
        assert_eq!(domain.registry().recoveries.load(Ordering::Relaxed), slot as u64);
    }
}
