//! Models of the pool: see [`crate::sync::model`].

use super::*;
use crate::sync::model::{Arc, Plain, check, joined, spawn};

/// A pool segment on the heap, and the payloads of its buffers.
pub(crate) struct Heap {
    pub(crate) pool: Pool,
    pub(crate) payloads: [Plain; 3],
    // What `pool` looks at.
    _head: Vec<PoolHeader>,
    _bitmap: Vec<AtomicU64>,
    _headers: Vec<BufferHeader>,
    _ledger: Vec<AtomicU32>,
}

impl Heap {
    /// A pool of `count` buffers, with ledgers for participants 0, 1 and 2.
    pub(crate) fn new(count: usize) -> Arc<Self> {
        let head = vec![PoolHeader::default()];
        let bitmap = vec![AtomicU64::new(0)];
        let headers: Vec<_> = std::iter::repeat_with(BufferHeader::default).take(count).collect();
        let ledger: Vec<_> = std::iter::repeat_with(AtomicU32::default).take(3 * count).collect();
        let geometry = PoolGeometry {
            buffer_bytes: 256,
            count,
            bitmap: 0,
            headers: 0,
            ledger: 0,
            row_bytes: count * size_of::<AtomicU32>(),
            payload: 0,
            bytes: 0,
        };
        let pool = Pool {
            index: 0,
            generation: 0,
            geometry,
            head: View::over(&head),
            bitmap: View::over(&bitmap),
            headers: View::over(&headers),
            ledger: View::over(&ledger),
        };
        let payloads = Default::default();
        Arc::new(Self { pool, payloads, _head: head, _bitmap: bitmap, _headers: headers, _ledger: ledger })
    }

    /// A buffer for participant `slot`, filled.
    pub(crate) fn allocate(&self, slot: usize) -> Option<usize> {
        let mut id = [0];
        let (1, _) = self.pool.claim(0, &mut id) else { return None };
        let index = id[0] as usize;
        self.pool.prepare(index, 0, 1);
        self.pool.ledger_add(slot, index, false);
        self.payloads[index].write(slot as u32 + 1);
        Some(index)
    }

    /// Drops a reference that participant `slot` has; whether it was the last.
    pub(crate) fn release(&self, slot: usize, index: usize) -> bool {
        self.pool.ledger_remove(slot, index, false);
        self.drop_reference(index)
    }

    fn drop_reference(&self, index: usize) -> bool {
        let last = self.pool.unref(index, 1);
        if last {
            self.pool.free(0, 1 << index);
        }
        last
    }
}

/// Two participants that allocate, write and free in turns.
fn taking_turns(claim: fn(&Pool) -> Option<usize>, free: fn(&Pool, usize)) {
    check(move || {
        let heap = Heap::new(1);
        let turn = move |heap: &Heap, slot: u32| {
            if let Some(index) = claim(&heap.pool) {
                heap.payloads[index].write(slot);
                assert_eq!(heap.payloads[index].read(), slot, "the buffer is ours alone");
                free(&heap.pool, index);
            }
        };
        let other = Arc::clone(&heap);
        let other = spawn(move || turn(&other, 1));
        turn(&heap, 2);
        turn(&heap, 3);
        joined(other);
        assert_eq!(heap.pool.used(), 0, "all is back");
    });
}

fn really_claim(pool: &Pool) -> Option<usize> {
    let mut id = [0];
    (pool.claim(0, &mut id).0 == 1).then_some(id[0] as usize)
}

fn really_free(pool: &Pool, index: usize) {
    pool.free(0, 1 << index);
}

#[test]
fn a_buffer_has_one_owner_at_a_time() {
    taking_turns(really_claim, really_free);
}

#[test]
#[should_panic = "Causality violation"]
fn without_a_cas_at_allocation() {
    let claim = |pool: &Pool| {
        let seen = pool.bitmap[0].load(Ordering::Acquire);
        (seen == 0).then(|| {
            pool.bitmap[0].store(1, Ordering::Release);
            0
        })
    };
    taking_turns(claim, really_free);
}

#[test]
#[should_panic = "Causality violation"]
fn without_acquire_at_allocation() {
    let claim = |pool: &Pool| {
        let done = pool.bitmap[0].compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
        done.is_ok().then_some(0)
    };
    taking_turns(claim, really_free);
}

#[test]
#[should_panic = "Causality violation"]
fn without_release_at_freeing() {
    taking_turns(really_claim, |pool, index| {
        pool.bitmap[0].fetch_and(!(1 << index), Ordering::Relaxed);
    });
}

#[test]
fn batches_do_not_overlap() {
    check(|| {
        let heap = Heap::new(3);
        let two = |heap: &Heap| {
            let mut ids = [0; 2];
            let (count, _) = heap.pool.claim(0, &mut ids);
            ids[..count].to_vec()
        };
        let other = Arc::clone(&heap);
        let other = spawn(move || two(&other));
        let mut all = two(&heap);
        all.extend(joined(other));
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    });
}

/// Two holders that read and let go; the buffer is used anew at once.
fn letting_go(unref: fn(&Pool, usize) -> bool) {
    check(move || {
        let heap = Heap::new(1);
        let index = heap.allocate(0).expect("it is empty");
        assert!(heap.pool.try_ref(index));
        let let_go = move |heap: &Heap| {
            heap.payloads[index].read();
            if unref(&heap.pool, index) {
                heap.pool.free(0, 1 << index);
                heap.allocate(1);
            }
        };
        let other = Arc::clone(&heap);
        let other = spawn(move || let_go(&other));
        let_go(&heap);
        joined(other);
        let generation = heap.pool.headers[index].generation.load(Ordering::Relaxed);
        assert_eq!((heap.pool.used(), generation), (1, 2), "freed once and used anew once");
    });
}

#[test]
fn the_last_holder_frees() {
    letting_go(|pool, index| pool.unref(index, 1));
}

#[test]
#[should_panic = "Causality violation"]
fn without_order_at_letting_go() {
    letting_go(|pool, index| pool.headers[index].refs.fetch_sub(1, Ordering::Relaxed) == 1);
}

#[test]
#[should_panic = "used anew once"]
fn without_one_step_at_letting_go() {
    letting_go(|pool, index| {
        let refs = pool.headers[index].refs.load(Ordering::Acquire);
        pool.headers[index].refs.store(refs - 1, Ordering::Release);
        refs == 1
    });
}

/// Somebody who takes a further reference from nowhere (a peek, an opener of a queue) while the last one goes.
fn coming_late(try_ref: fn(&Pool, usize) -> bool) {
    check(move || {
        let heap = Heap::new(1);
        let index = heap.allocate(0).expect("it is empty");
        let late = Arc::clone(&heap);
        let late = spawn(move || {
            if try_ref(&late.pool, index) {
                assert!(late.pool.is_allocated(index), "what is referenced is allocated");
                late.drop_reference(index);
            }
        });
        heap.release(0, index);
        joined(late);
        assert_eq!(heap.pool.used(), 0, "all is back");
        assert_eq!(heap.pool.headers[index].refs.load(Ordering::Relaxed), 0, "freed once");
    });
}

#[test]
fn a_reference_to_what_is_being_freed_is_refused() {
    coming_late(Pool::try_ref);
}

#[test]
#[should_panic = "what is referenced"]
fn without_refusing() {
    coming_late(|pool, index| {
        pool.headers[index].refs.fetch_add(1, Ordering::AcqRel);
        true
    });
}
