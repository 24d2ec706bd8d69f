// What is not tested under qemu, and why. Whatever is not named here is.

/** Suites of Rust, by crate and file. */
export const SUITES = {
  'millrace/chaos': 'under emulation openers wait for the lock of the domain longer than they may',
  'millrace/hostile_segment': 'damages every word, which takes hours under emulation; fuzz does so at random',
  'millrace/protocol_model': 'a model, in which the processor has no part; it takes hours under emulation',
}

const ONE_USER = 'the namespace that qemu is registered in has one user'
const NO_LIMIT = 'qemu takes no limit of the address space'

/** Tests of Rust, by name. */
export const RUST_TESTS = {
  a_pool_of_somebody_else_is_an_error_that_names_it_and_blocks_nobody: ONE_USER,
  a_registry_of_somebody_else_is_not_mapped_and_blocks_nobody: ONE_USER,
  a_umask_that_takes_everything_does_no_harm: ONE_USER,
  an_ordinary_user_is_not_let_into_objects_of_others_either: ONE_USER,
  without_threads_opening_fails_and_leaves_nothing: ONE_USER,
  without_memory_to_map_the_error_says_so: NO_LIMIT,
  a_run_whose_threads_cannot_be_started_ends_at_once_and_leaves_nothing: NO_LIMIT,
  children_that_are_just_being_forked_keep_no_lock: 'qemu hangs on a lock of its own in a fork beside other threads',
}

/** Specs of Node.js, by file without its ending, and tests of them, by a part of their titles: none is run, the programs are. */
export const SPECS = {}
export const TESTS = {}
