//! The topics a participant has open, by name: whoever asks twice gets the same.

use crate::error::Result;
use crate::topic::Topic;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Keeps nothing open by itself.
#[derive(Debug, Default)]
pub(super) struct OpenTopics(Mutex<HashMap<String, Weak<Topic>>>);

impl OpenTopics {
    /// The open topic of that name, unless it was destroyed; else what `open` makes. One caller at a time: two ends of one topic would
    /// not know of each other.
    pub(super) fn get_or_open<E>(
        &self,
        name: &str,
        open: impl FnOnce() -> Result<Topic, E>,
    ) -> Result<Arc<Topic>, E> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(name).and_then(Weak::upgrade).filter(|topic| !topic.is_destroyed()) {
            return Ok(known);
        }
        let opened = Arc::new(open()?);
        all.retain(|_, known| known.strong_count() > 0);
        all.insert(name.to_owned(), Arc::downgrade(&opened));
        Ok(opened)
    }

    /// As [`OpenTopics::get_or_open`], where there may be nothing to open.
    pub(super) fn get_or_find(
        &self,
        name: &str,
        find: impl FnOnce() -> Result<Option<Topic>>,
    ) -> Result<Option<Arc<Topic>>> {
        match self.get_or_open(name, || find().map_err(Some)?.ok_or(None)) {
            Ok(found) => Ok(Some(found)),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }
}
