//! The GlobalRegistry of a domain as this process sees it: tables that grow page by page, and the name table.

mod domain;
#[cfg(all(test, loom))]
mod model;
mod names;
mod participant;

pub(crate) use domain::{Domain, now_ms};
pub(crate) use names::{EntryKey, EntryRef, Kind};
pub(crate) use participant::{Participant, Pin};
