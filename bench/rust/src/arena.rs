//! Memory that processes share after a fork, at the same address in each.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::NonNull;

/// A value in shared memory. It is never dropped: the other processes may be using it, and the pages go with the last of them.
pub(crate) struct Shared<T: 'static>(NonNull<T>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

impl<T> Shared<T> {
    /// Moves `value` into shared memory, together with what it allocates while `make` runs.
    pub(crate) fn new(make: impl FnOnce() -> T) -> Self {
        let memory = map(size_of::<T>() + align_of::<T>()).cast::<T>();
        IN_ARENA.set(true);
        let value = make();
        IN_ARENA.set(false);
        // SAFETY: pages of our own, large enough and aligned to a page.
        unsafe { memory.write(value) };
        Self(memory)
    }
}

impl<T> std::ops::Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: initialised by `new` and never unmapped.
        unsafe { self.0.as_ref() }
    }
}

fn map(bytes: usize) -> NonNull<u8> {
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, which touches nothing that exists.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), bytes, prot, flags, -1, 0) };
    assert!(address != libc::MAP_FAILED, "no shared memory: {}", std::io::Error::last_os_error());
    NonNull::new(address.cast()).expect("a mapping")
}

thread_local! {
    static IN_ARENA: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, but for what is made inside [`Shared::new`]: that comes from shared memory. So the real `ArrayQueue`,
/// which boxes its slots, can be used between processes that were forked.
struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// SAFETY: forwards to the system's allocator, or hands out fresh pages that are never given back (they are few, and `Shared` is
// never dropped).
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if IN_ARENA.get() {
            return map(layout.size()).as_ptr();
        }
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract; `Shared` is never dropped, so this is nothing of its.
        unsafe { System.dealloc(pointer, layout) }
    }
}
