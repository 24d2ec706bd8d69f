//! Views over memory from the heap, for the loom models of what lies in segments.

use super::*;
use std::sync::OnceLock;

impl<T> View<T> {
    /// A view of `items`, which the caller keeps where they are.
    pub(crate) fn over(items: &[T]) -> Self {
        static ANY: OnceLock<Arc<Segment>> = OnceLock::new();
        let segment = ANY.get_or_init(|| {
            let name = format!("/millrace.model.{}", std::process::id());
            let link = std::env::temp_dir().join(&name[1..]);
            let segment = Segment::create(&name, &link, page_bytes()).expect("a page of shared memory");
            Segment::unlink(&name).expect("it was just made");
            std::fs::remove_file(link).expect("it was just made");
            Arc::new(segment)
        });
        Self { segment: Arc::clone(segment), start: NonNull::from(items).cast(), len: items.len() }
    }
}
