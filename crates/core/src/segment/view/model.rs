//! Views over memory from the heap, for the loom models of what lies in segments.

use super::*;
use crate::os::{create_object, remove_object};
use std::sync::OnceLock;

impl<T: crate::layout::Shared> View<T> {
    /// A view of `items`, which the caller keeps where they are.
    pub(crate) fn over(items: &[T]) -> Self {
        static ANY: OnceLock<Arc<Segment>> = OnceLock::new();
        let segment = ANY.get_or_init(|| {
            let name = format!("/millrace.model.{}", std::process::id());
            let id =
                create_object(&name, page_bytes()).expect("a page of shared memory").expect("a free name");
            let mapping = Mapping::open(&name, id).expect("it was just made");
            remove_object(&name).expect("it was just made");
            Arc::new(Segment::new(mapping))
        });
        Self { segment: Arc::clone(segment), start: NonNull::from(items).cast(), len: items.len() }
    }
}
