//! The GlobalRegistry of a domain as this process sees it: tables that grow page by page, and the name table.

mod domain;
#[cfg(all(test, loom))]
mod model;
mod names;
mod participant;
mod pools;
mod stop;
#[cfg(all(test, loom))]
mod trim_model;

pub(crate) use domain::{Domain, now_ms};
pub(crate) use names::{EntryKey, EntryRef, Kind};
pub(crate) use participant::{Ending, Participant, Pin};
pub use stop::StallPhase;
pub(crate) use stop::{
    Dead, Hindrance, World, at_rest_within, call_off, find_dead, finish_abandoned, lock_recovery, stalled_at,
    with_world_at_rest, with_world_stopped,
};
