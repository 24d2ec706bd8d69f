//! Named shared memory: create, open, reserve, remove.

mod domain;
mod view;

pub(crate) use domain::{
    DomainDir, DomainLock, SegmentName, base_dir, open_lock_file, shm_free_bytes, validate_name,
};
pub(crate) use view::{Segment, View, page_bytes};
