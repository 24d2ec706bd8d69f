//! What one core can copy: 1 MiB blocks in turn over a working set that is larger than its caches.

use crate::numbers::Sample;
use crate::options::Options;
use std::hint::black_box;
use std::time::{Duration, Instant};

const BLOCK: usize = 1 << 20;
const BLOCKS: usize = 64;

pub(crate) fn measure(options: &Options) {
    let source = vec![1_u8; BLOCK * BLOCKS];
    let mut target = vec![2_u8; BLOCK * BLOCKS];
    let mut round = |duration: Duration| {
        let started = Instant::now();
        let mut copied = 0_usize;
        while started.elapsed() < duration {
            let at = copied % source.len();
            target[at..at + BLOCK].copy_from_slice(black_box(&source[at..at + BLOCK]));
            black_box(&mut target);
            copied += BLOCK;
        }
        copied as f64 / started.elapsed().as_secs_f64() / 1e9
    };
    round(options.warmup);
    Sample { value: round(options.timed), ..Sample::default() }.print();
}
