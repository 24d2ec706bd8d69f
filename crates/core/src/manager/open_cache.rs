//! What a participant has open, by name: whoever asks twice gets the same.

use crate::error::Result;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Keeps nothing open by itself.
#[derive(Debug)]
pub(super) struct OpenCache<K, T>(Mutex<HashMap<K, Weak<T>>>);

impl<K, T> Default for OpenCache<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, T> OpenCache<K, T> {
    /// What is open as `key`, if `is_usable`; else what `open` makes. One caller at a time: two ends of one thing would not know of
    /// each other.
    pub(super) fn get_or_open<E>(
        &self,
        key: K,
        is_usable: impl FnOnce(&T) -> bool,
        open: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&key).and_then(Weak::upgrade).filter(|known| is_usable(known)) {
            return Ok(known);
        }
        let opened = Arc::new(open()?);
        all.retain(|_, known| known.strong_count() > 0);
        all.insert(key, Arc::downgrade(&opened));
        Ok(opened)
    }

    /// As [`OpenCache::get_or_open`], where there may be nothing to open.
    pub(super) fn get_or_find(
        &self,
        key: K,
        is_usable: impl FnOnce(&T) -> bool,
        find: impl FnOnce() -> Result<Option<T>>,
    ) -> Result<Option<Arc<T>>> {
        match self.get_or_open(key, is_usable, || find().map_err(Some)?.ok_or(None)) {
            Ok(found) => Ok(Some(found)),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }
}
