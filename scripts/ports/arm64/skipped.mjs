// What is not tested under qemu, and why. Whatever is not named here is.

/** Suites of Rust, by crate and file. */
export const SUITES = {
  'millrace/chaos': 'under emulation openers wait for the lock of the domain longer than they may',
  'millrace/hostile_segment': 'damages every word, which takes hours under emulation; fuzz does so at random',
  'millrace/protocol_model': 'a model, in which the processor has no part; it takes hours under emulation',
}

/** Tests of Rust, by name. */
export const RUST_TESTS = {}

/** Specs of Node.js, by file without its ending, and tests of them, by a part of their titles: none is run, the programs are. */
export const SPECS = {}
export const TESTS = {}
