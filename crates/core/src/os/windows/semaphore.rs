//! Threads that sleep on a word of shared memory. `WaitOnAddress` hears of its own process only, so each word that anybody sleeps on has a
//! named semaphore: the name says where the word is, in which object, and an object's name cannot be foreseen.

use super::{owned, security, sleep_ms, wide};
use crate::os::{deadline, nap_on};
use crate::sync::{AtomicU32, Ordering};
use std::collections::HashMap;
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::{NonNull, null_mut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use windows_sys::Win32::System::Threading::{CreateSemaphoreW, ReleaseSemaphore, WaitForSingleObject};

/// One mapping of this process.
struct Mapped {
    bytes: usize,
    object: String,
    /// By the offset of its word, opened when it is first used.
    semaphores: HashMap<usize, Arc<OwnedHandle>>,
}

/// By the address of the first byte.
static MAPPED: Mutex<Option<HashMap<usize, Mapped>>> = Mutex::new(None);

fn with_mapped<T>(f: impl FnOnce(&mut HashMap<usize, Mapped>) -> T) -> T {
    f(MAPPED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// `object` has been mapped at `start`.
pub(super) fn mapped(start: NonNull<u8>, bytes: usize, object: &str) {
    let mapped = Mapped { bytes, object: object.to_owned(), semaphores: HashMap::new() };
    with_mapped(|all| all.insert(start.addr().get(), mapped));
}

/// What was mapped at `start` is going to be unmapped.
pub(super) fn unmapped(start: NonNull<u8>) {
    with_mapped(|all| all.remove(&start.addr().get()));
}

/// More threads than sleep on one word.
const MOST: i32 = 4096;

/// That of `word`. `None`: it is not in shared memory, or no semaphore can be had.
fn semaphore_of(word: &AtomicU32) -> Option<Arc<OwnedHandle>> {
    let address = (&raw const *word).addr();
    with_mapped(|all| {
        let inside =
            |(start, mapped): &(&usize, &mut Mapped)| (**start..**start + mapped.bytes).contains(&address);
        let (start, mapped) = all.iter_mut().find(inside)?;
        let offset = address - start;
        if let Some(known) = mapped.semaphores.get(&offset) {
            return Some(Arc::clone(known));
        }
        let semaphore = Arc::new(open(&format!(r"Global\{}.{offset:x}", mapped.object)).ok()?);
        mapped.semaphores.insert(offset, Arc::clone(&semaphore));
        Some(semaphore)
    })
}

fn open(name: &str) -> io::Result<OwnedHandle> {
    let (attributes, name) = (security::private_object()?.attributes(), wide(name));
    // SAFETY: attributes and a terminated name, which live through the call.
    owned(unsafe { CreateSemaphoreW(&raw const attributes, 0, MOST, name.as_ptr()) })
}

/// Sleeps while `word`, which lies in memory of several processes, is `expected`, at most `timeout`.
pub(crate) fn wait_on(word: &AtomicU32, expected: u32, timeout: Duration) {
    let Some(semaphore) = semaphore_of(word) else { return nap_on(word, expected, timeout) };
    let deadline = deadline(timeout);
    // Acquire: whoever finds it changed sees what was done before. Woken for an older change (by a count that one left who had been
    // woken otherwise), it sleeps again.
    while word.load(Ordering::Acquire) == expected {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        // SAFETY: an open handle, which we share.
        unsafe { WaitForSingleObject(semaphore.as_raw_handle(), sleep_ms(left)) };
    }
}

/// Wakes everybody who sleeps on `word`: `sleepers` at most.
pub(crate) fn wake_all(word: &AtomicU32, sleepers: u32) {
    let count = i32::try_from(sleepers).unwrap_or(MOST).clamp(1, MOST / 2);
    if let Some(semaphore) = semaphore_of(word) {
        // Refused where so many have been released already that there is one for everybody.
        // SAFETY: an open handle.
        unsafe { ReleaseSemaphore(semaphore.as_raw_handle(), count, null_mut()) };
    }
}
