//! Named shared memory: create, open, reserve, remove.

mod domain;
mod view;

pub(crate) use domain::{DomainDir, DomainLock, SegmentName, base_dir, shm_free_bytes, validate_name};
pub(crate) use view::{Segment, View, page_bytes};
