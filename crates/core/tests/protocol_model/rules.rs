//! The rules of the protocol. Each can be dropped alone, to show that the model would notice.

/// One rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A recoverer looks only while all the living are outside their operations.
    QuiesceFirst,
    /// One process recovers at a time.
    OneRecoverer,
    /// A slot TAKEN by a dead participant is freed for the next lap.
    RollForward,
    /// On an at-least-once queue the place that its taker had reserved among the leases becomes the message, to be delivered again.
    ReservationBecomesMessage,
    /// A slot tells whether its message is taken to be received, or out of the queue for good.
    RemovedIsTold,
    /// An overflow policy drops what it has looked at, by its position.
    DropByPosition,
    /// A limit is kept by position, not by a count that others change.
    LimitByPosition,
    /// A message whose lease is written is the lease's, even if its slot is still TAKEN.
    LeaseOutranksSlot,
    /// A producer passes slots that were taken and recycled while the tail hint lagged.
    HelpPastRecycled,
    /// A share is counted before it is published.
    CountShareFirst,
    /// Whoever dies during a recovery still counts as a holder.
    DyingStillHolds,
    /// The slot of a dead participant is given away last.
    VacateLast,
    /// A place among the leases is reserved before a message is taken.
    ReserveFirst,
    /// What is taken is in the ledger before its slot is free.
    AddBeforeRecycle,
    /// A leased message is held by its receiver until the lease has ended.
    HoldWhileLeased,
    /// A sender looks at the queue's state again after it has published, and takes back.
    SenderLooksAgain,
    /// Whoever gives a message back looks at the queue's state afterwards, too.
    NackLooksAgain,
    /// A queue with messages that wait to be delivered again has not ended.
    PendingIsNotTheEnd,
    /// Nor has one with messages that cannot be taken because all places for leases are in use.
    ReadyIsNotTheEnd,
    /// A receiver whose whole batch went to the dead letters looks again.
    DeadLettersLookAgain,
    /// After it has taken a reference to a ring, an opener looks whether the name table still lists it.
    LooksAgainForEntry,
    /// The name table's reference to a ring is counted.
    NameTableHolds,
    /// A copy is claimed, filled and published under one pin: until it is in the queue nobody holds it.
    PutUnderOnePin,
    /// A copy that has been prepared is given back by its reference, not by its bit: somebody may count it, too.
    UnrefPrepared,
    /// Who copies messages out tells how many it has taken for that, until it is outside again.
    CopiesAreTold,
    /// Who publishes to many counts the references before it gives them.
    CountBeforeGiving,
    /// Who peeks looks again once it has a reference.
    PeekLooksAgain,
    /// Several buffers are freed at once only when nobody counts any of them.
    FreeUnreffed,
    /// A mailbox of the dead is ended by recovery.
    MailboxEndsWithOwner,
    /// A mailbox is found by slot and epoch of its owner.
    MailboxByEpoch,
    /// Whether a participant has gone is told by slot and epoch.
    TenantByEpoch,
    /// Departures are counted before anybody is notified of them.
    RaisedBeforeNotified,
    /// Who is about to sleep has read its wake word before it looks.
    WakeReadFirst,
    /// Who leaves says so, announces it, and frees its slot then; who sweeps finishes that.
    LeaveInTwoSteps,
    /// A recoverer announces its dead while the word is raised that tells of a recovery.
    AnnouncedWhileRaised,
    /// Who finds that word raised announces departures before it lowers it, whatever else it does.
    AbandonedIsAnnounced,
}

impl Rule {
    pub(crate) const ALL: [Self; 36] = [
        Self::QuiesceFirst,
        Self::OneRecoverer,
        Self::RollForward,
        Self::ReservationBecomesMessage,
        Self::RemovedIsTold,
        Self::DropByPosition,
        Self::LimitByPosition,
        Self::LeaseOutranksSlot,
        Self::HelpPastRecycled,
        Self::CountShareFirst,
        Self::DyingStillHolds,
        Self::VacateLast,
        Self::ReserveFirst,
        Self::AddBeforeRecycle,
        Self::HoldWhileLeased,
        Self::SenderLooksAgain,
        Self::NackLooksAgain,
        Self::PendingIsNotTheEnd,
        Self::ReadyIsNotTheEnd,
        Self::DeadLettersLookAgain,
        Self::LooksAgainForEntry,
        Self::NameTableHolds,
        Self::PutUnderOnePin,
        Self::UnrefPrepared,
        Self::CopiesAreTold,
        Self::CountBeforeGiving,
        Self::PeekLooksAgain,
        Self::FreeUnreffed,
        Self::MailboxEndsWithOwner,
        Self::MailboxByEpoch,
        Self::TenantByEpoch,
        Self::RaisedBeforeNotified,
        Self::WakeReadFirst,
        Self::LeaveInTwoSteps,
        Self::AnnouncedWhileRaised,
        Self::AbandonedIsAnnounced,
    ];
}

/// All rules, but one perhaps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) dropped: Option<Rule>,
}

impl Rules {
    pub(crate) fn has(self, rule: Rule) -> bool {
        self.dropped != Some(rule)
    }
}
