//! What the binding keeps per manager.

use crate::array_buffer::retire;
use crate::block::{NEWS_DEPARTURES, NEWS_REPORTS};
use crate::handles::HandleTable;
use crate::leases::LeaseTable;
use crate::waits::Waits;
use millrace::{EventCursor, PortQueue, SegmentView, SharedBufferAllocator, ShmManager};
use std::collections::HashMap;
use std::sync::Arc;

/// One open manager. What is left of the others after the manager has gone does nothing any more.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) manager: ShmManager,
    pub(crate) allocator: SharedBufferAllocator,
    pub(crate) handles: HandleTable,
    pub(crate) leases: LeaseTable,
    pub(crate) waits: Waits,
    /// Who had no room for the last message that was published.
    pub(crate) blocked: Vec<Arc<PortQueue>>,
    pub(crate) events: EventCursor,
    pub(crate) stalls_seen: u32,
    departures_seen: u32,
    remaps_seen: u32,
    /// Segments that JavaScript has views of.
    pub(crate) segments: HashMap<usize, SegmentView>,
}

impl Session {
    pub(crate) fn new(manager: ShmManager) -> Self {
        Self {
            waits: Waits::new(&manager),
            events: manager.event_cursor(),
            // Report those that are stalled already.
            stalls_seen: manager.stalls().wrapping_sub(1),
            departures_seen: manager.departures(),
            remaps_seen: manager.remaps(),
            allocator: manager.allocator(),
            manager,
            handles: HandleTable::default(),
            leases: LeaseTable::default(),
            blocked: Vec::new(),
            segments: HashMap::new(),
        }
    }

    /// As `leave`, because the process or worker thread ends, with this exit code, if it is known.
    pub(crate) fn exit(mut self, code: Option<i32>) -> HashMap<usize, SegmentView> {
        self.manager.exits(code);
        self.leave()
    }

    /// Leaves the domain, then ends what JavaScript sees of it. Returns what has views.
    pub(crate) fn leave(mut self) -> HashMap<usize, SegmentView> {
        let segments = std::mem::take(&mut self.segments);
        drop(self);
        retire(segments.values());
        segments
    }

    /// Whether segments have been taken out, or rings replaced, since the last call. Whoever gets the number of a buffer from an operation
    /// asks after it: a segment that came in the place of another did so before.
    #[inline]
    pub(crate) fn has_remapped(&mut self) -> bool {
        let remaps = self.manager.remaps();
        std::mem::replace(&mut self.remaps_seen, remaps) != remaps
    }

    /// What is new, as the bits of NEWS. Departures are told once.
    pub(crate) fn news(&mut self) -> u32 {
        let (manager, mut news) = (&self.manager, 0);
        if manager.events() != self.events.seen() || manager.stalls() != self.stalls_seen {
            news |= NEWS_REPORTS;
        }
        let departures = manager.departures();
        if std::mem::replace(&mut self.departures_seen, departures) != departures {
            news |= NEWS_DEPARTURES;
        }
        news
    }
}
