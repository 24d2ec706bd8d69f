//! Sleeping on a word in memory of several processes.
//!
//! macOS 14.4 has `os_sync_wait_on_address` for that (os/os_sync_wait_on_address.h); before, there is nothing, and sleepers look once a
//! millisecond. All processes of a machine run on one system, so either all of them wake by address or none does.

#![cfg(not(loom))]

use crate::sync::AtomicU32;
use std::ffi::{CStr, c_int, c_void};
use std::sync::OnceLock;
use std::time::Duration;

/// `OS_SYNC_WAIT_ON_ADDRESS_SHARED`, `OS_SYNC_WAKE_BY_ADDRESS_SHARED`: the memory is that of several processes.
const SHARED: u32 = 1;
/// `OS_CLOCK_MACH_ABSOLUTE_TIME`.
const MACH_ABSOLUTE_TIME: u32 = 32;

type Wait = unsafe extern "C" fn(*mut c_void, u64, usize, u32, u32, u64) -> c_int;
type Wake = unsafe extern "C" fn(*mut c_void, usize, u32) -> c_int;

struct ByAddress {
    wait: Wait,
    wake_all: Wake,
}

/// The system's functions, if it has them.
fn by_address() -> Option<&'static ByAddress> {
    static FOUND: OnceLock<Option<ByAddress>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let wait = symbol(c"os_sync_wait_on_address_with_timeout")?;
            let wake_all = symbol(c"os_sync_wake_by_address_all")?;
            Some(ByAddress {
                // SAFETY: the function of that name has this type.
                wait: unsafe { std::mem::transmute::<*mut c_void, Wait>(wait) },
                // SAFETY: likewise.
                wake_all: unsafe { std::mem::transmute::<*mut c_void, Wake>(wake_all) },
            })
        })
        .as_ref()
}

fn symbol(name: &CStr) -> Option<*mut c_void> {
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, symbol: *const std::ffi::c_char) -> *mut c_void;
    }
    /// `RTLD_DEFAULT`: whatever the process has loaded.
    const DEFAULT: *mut c_void = std::ptr::without_provenance_mut(-2_isize as usize);
    // SAFETY: a terminated name, and a handle that dlfcn.h defines.
    let found = unsafe { dlsym(DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// Sleeps while `word`, which lies in memory of several processes, is `expected`, at most `timeout`. May return early for no reason:
/// callers look again.
pub(crate) fn wait_on(word: &AtomicU32, expected: u32, timeout: Duration) {
    let Some(system) = by_address() else { return crate::os::nap_on(word, expected, timeout) };
    // 0 is refused.
    let ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX).max(1);
    let at = word.as_ptr().cast();
    // SAFETY: the word is mapped, and four bytes, through the call.
    let sleepers =
        unsafe { (system.wait)(at, expected.into(), size_of::<u32>(), SHARED, MACH_ABSOLUTE_TIME, ns) };
    if sleepers < 0 && is_refusal(&std::io::Error::last_os_error()) {
        // Never a loop without a sleep, whatever the system has against it.
        crate::os::nap_on(word, expected, timeout.min(Duration::from_millis(1)));
    }
}

/// Whether it has not slept for another reason than that the time was over, or that it was to look again.
fn is_refusal(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let again = [Errno::TIMEDOUT, Errno::INTR, Errno::FAULT].map(|errno| Some(errno.raw_os_error()));
    !again.contains(&error.raw_os_error())
}

/// Wakes everybody who sleeps on `word`.
pub(crate) fn wake_all(word: &AtomicU32, _sleepers: u32) {
    if let Some(system) = by_address() {
        // SAFETY: as above. That nobody sleeps there is an error, which does not matter.
        let _ = unsafe { (system.wake_all)(word.as_ptr().cast(), size_of::<u32>(), SHARED) };
    }
}
