//! Named points after every step that others can see, where a test kills (or stops) this very process. A closed list, so that the
//! crash matrix can go through all of it; compiled to nothing without the feature `fault-points`.
//!
//! `MILLRACE_FAULT=<point>:<n>:<kill|stop>` picks the n-th time the process comes to a point.

/// Defines [`Point`] with its names.
macro_rules! points {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Where a process can be killed by a test. Each is named after the step that has just been done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($(#[$doc])* $name),*
        }

        impl Point {
            /// Every point.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

points! {
    /// Inside an operation, nothing done yet.
    Pinned,
    /// Bits of buffers are set, nobody's ledger names them.
    AllocClaimed,
    /// A buffer is in the allocator's ledger.
    AllocAdopted,
    /// Removed from the ledger, still counted.
    ReleaseRemoved,
    /// Count 0, bit still set.
    ReleaseUnreffed,
    /// The bit is cleared; nobody has been told.
    ReleaseFreed,
    /// Counted once more, not in the ledger.
    ShareReffed,
    /// In the ledger once more.
    ShareAdded,
    /// The message is in the queue and in the sender's ledger.
    PushPublished,
    /// The message is the queue's alone; the tail lags.
    PushRemoved,
    /// All published, nobody told.
    PushHelped,
    /// The slot names the taker, nothing else does.
    PopTaken,
    /// As `PopTaken`, of a message that shares its buffer, with word left of what the ledger counts before.
    PopBegun,
    /// Slot and ledger name the taker.
    PopAdded,
    /// The slot is free for the next lap.
    PopRecycled,
    /// All taken, nobody told of the room.
    PopHelped,
    /// A message an overflow policy drops is taken.
    DropTaken,
    /// Its slot is free; the queue's reference is not dropped.
    DropRecycled,
    /// A message of an ended queue is taken back.
    RetractTaken,
    /// A lease entry is reserved.
    LeaseReserved,
    /// Message taken, lease still a reservation.
    LeaseTaken,
    /// The lease names the message; slot not free, ledger empty.
    LeaseGranted,
    /// A pending message is leased; ledger empty.
    LeaseRetaken,
    /// Acknowledged, not counted as settled; the buffer is still held.
    LeaseAcked,
    /// Acknowledged and counted; the buffer is still held.
    LeaseSettled,
    /// Pending again; the buffer is still in the ledger.
    LeaseGivenBack,
    /// A ring's buffer is counted once more for a new end.
    AttachReffed,
    /// The new end is in the ledger.
    AttachAdded,
    /// A buffer for a ring is allocated.
    CreateAllocated,
    /// The ring is filled in.
    CreateInitialised,
    /// The name entry is claimed.
    CreateClaimed,
    /// the name table's reference is counted.
    CreateReffed,
    /// The queue can be found.
    CreateListed,
    /// A ring that is to take the place of another is filled in; nobody but its maker holds it.
    ReplaceFilled,
    /// The ring has been replaced; the name table still names it.
    ReplaceMarked,
    /// The name table names the ring that has taken its place; nobody has been told.
    ReplaceListed,
    /// The name table's reference to the ring before is dropped.
    ReplaceUnreffed,
    /// The others go on; the maker of the new ring still holds it.
    ReplaceResumed,
    /// The end of a producer has gone; the queue, which may have to, has not been closed.
    ProducerLeft,
    /// Closed; nobody told.
    CloseMarked,
    /// Destroyed, still in the name table.
    DestroyMarked,
    /// Out of the name table; the name table's reference still counted.
    DestroyUnlisted,
    /// Out of the name table, messages still in it.
    DestroyUnreffed,
    /// References for everybody are counted; nobody has the message.
    PublishReffed,
    /// The message is in the history; no subscriber has it.
    PublishKept,
    /// As before; the message it replaced in the history is still counted.
    PublishReplaced,
    /// One more subscriber has the message.
    PublishOffered,
    /// Removed from the publisher's ledger; references nobody took are still counted.
    PublishRemoved,
    /// All is published, nobody told.
    PublishDone,
    /// A subscription is listed and announced to publishers.
    SubscribeRaised,
    /// A message of the history is counted once more for a subscriber.
    SubscribeReffed,
    /// It is in the subscriber's queue.
    SubscribeCopied,
    /// The subscription has begun.
    SubscribeBegun,
    /// A link names the object that a segment is going to be; there is none yet.
    SegmentNamed,
    /// The object exists; its identity is recorded nowhere.
    SegmentMade,
    /// The object of a segment exists and its identity is recorded.
    GrowCreated,
    /// The segment is linked.
    GrowPublished,
    /// The segment is in the table; nobody told.
    GrowRegistered,
    /// Nobody has the empty segment attached any more; it is still in the table.
    TrimDetached,
    /// The empty segment is out of the table; its object is still there.
    TrimUnlisted,
    /// Its object is removed; its place is not free yet.
    TrimRemoved,
    /// The domain lock is held.
    OpenLocked,
    /// The registry's object exists.
    OpenCreated,
    /// The registry is linked.
    OpenPublished,
    /// The life lock is held, the slot still free.
    JoinClaimed,
    /// The slot is active.
    JoinActive,
    /// Everything is released, the slot still active.
    LeaveReleased,
    /// The slot says that its tenant leaves; nobody knows of it.
    LeaveBegun,
    /// An event is in the log; its participant's slot does not say so.
    EventLogged,
    /// The count of departures is raised; nobody is notified.
    DepartureRaised,
    /// The slot is free.
    LeaveFreed,
    /// Nobody is left; the domain lock is held to remove the domain.
    LeaveLocked,
    /// The registry's link is taken back; all else is there.
    RemoveBegun,
    /// All is removed but the directory.
    RemoveCleared,
    /// A waiter's bit is set.
    WaitArmed,
    /// A waiter's bit is taken, its owner not notified.
    WakeTaken,
    /// The recovery lock is held, nobody is kept out.
    RecoverLocked,
    /// The recoverer has raised `recovering`.
    RecoverRaised,
    /// Everybody is outside.
    RecoverQuiesced,
    /// The name table names the ring that has taken the place of another, whose maker has died at that.
    RecoverRelisted,
    /// A subscription or mailbox of the dead is destroyed, and still listed.
    RecoverOrphaned,
    /// A lease of the dead is pending.
    RecoverLease,
    /// A taken slot of the dead is free.
    RecoverRolled,
    /// A buffer nobody holds is free.
    RecoverFreed,
    /// The ledgers of the dead are empty.
    RecoverForgotten,
    /// The report is written.
    RecoverReported,
    /// The slot of the dead is free.
    RecoverVacated,
    /// Everybody is let in.
    RecoverResumed,
}

/// Does what a test asked for at `point`; nothing otherwise.
#[inline(always)]
pub(crate) fn hit(point: Point) {
    #[cfg(feature = "fault-points")]
    armed::hit(point);
    #[cfg(not(feature = "fault-points"))]
    let _ = point;
}

#[cfg(feature = "fault-points")]
mod armed {
    use super::Point;
    use crate::os::{FaultAction, apply_fault};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Order {
        point: Point,
        action: FaultAction,
        left: AtomicUsize,
    }

    fn order() -> Option<Order> {
        let text = std::env::var("MILLRACE_FAULT").ok()?;
        let mut parts = text.split(':');
        let name = parts.next()?;
        let point = Point::ALL.iter().copied().find(|point| format!("{point:?}") == name);
        let count = parts.next().and_then(|n| n.parse().ok());
        let action = match parts.next() {
            Some("kill") => Some(FaultAction::Kill),
            Some("stop") => Some(FaultAction::Stop),
            _ => None,
        };
        let (Some(point), Some(count), Some(action)) = (point, count, action) else {
            panic!("MILLRACE_FAULT={text}: not <point>:<n>:<kill|stop>");
        };
        Some(Order { point, action, left: AtomicUsize::new(count) })
    }

    pub(super) fn hit(point: Point) {
        static ORDER: OnceLock<Option<Order>> = OnceLock::new();
        let Some(order) = ORDER.get_or_init(order).as_ref().filter(|order| order.point == point) else {
            return;
        };
        if order.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            apply_fault(order.action);
        }
    }
}
