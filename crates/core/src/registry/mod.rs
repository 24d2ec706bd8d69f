//! The GlobalRegistry of a domain as this process sees it: tables that grow page by page, and the directory of queues.

mod directory;
mod domain;
#[cfg(all(test, loom))]
mod model;
mod participant;

pub(crate) use directory::{Kind, Listed, Title};
pub(crate) use domain::{Domain, now_ms};
pub(crate) use participant::{Participant, Pin};
