// What is not tested on Windows, and why. Whatever is not named here is.

/** Suites of Rust, by crate and file. */
export const SUITES = {
  'millrace/chaos': 'stops and resumes processes by signals, and maps a file of its own',
  'millrace/fuzz': 'puts images of a domain back by way of /dev/shm',
  'millrace/hostile_segment': 'damages segments by way of /dev/shm',
  'millrace/namespaces': 'there are no pid namespaces',
  'millrace/protocol_model': 'a model, in which the system has no part; it takes hours in wine',
  'millrace/shortage': 'sets limits of descriptors and memory that there are not',
  'millrace/stopped': 'stops processes by signals',
  'millrace-flow/resources': 'sets limits of processor time and threads, and counts in /proc',
  'millrace/trust': 'is about owners and modes of Unix; os/windows/tests.rs looks at lists of rights',
}

/** Tests of Rust, by name. */
export const RUST_TESTS = {
  the_system_gets_the_memory_from_all_of_them: 'looks for what is mapped in /proc',
}

/** Specs of Node.js, by file without its ending. */
export const SPECS = {
  'cli/record': 'stops processes by signals',
  docs: 'compiles the documents with a native esbuild for the system that installed it',
  structure: 'reads sources: the same everywhere',
  'package/contents': 'reads what is packed: the same everywhere',
  'package/install': 'reads what is packed: the same everywhere',
  'package/loader': 'its loader is that of Linux packages',
  'ingest/socket': 'reads descriptors of Unix sockets',
  'process/damaged': 'damages files in /dev/shm',
  'process/events': 'stops processes by signals',
  'process/hostile': 'damages files in /dev/shm',
  'process/kill-waiting': 'stops processes by signals',
  'process/leaks': 'counts descriptors in /proc',
  'process/permission': 'is about owners and modes of Unix',
  'process/runtimes': 'looks for leftovers in /dev/shm',
  'process/small-memory': 'mounts a small /dev/shm',
  'process/stalled': 'stops processes by signals',
  'process/starved': 'sets limits of descriptors',
  'stress/stress': 'kills and stops processes by signals, and reads /proc',
  'flow/supervisor': 'asks processes to end by SIGTERM, which ends them at once on Windows',
  'flow/supervisor-kill': 'asks processes to end by SIGTERM, which ends them at once on Windows',
}

/** Tests of other specs, by the start of their titles. */
export const TESTS = {
  'opening and closing leaves no file descriptor behind': 'counts in /proc',
  'an observer sees what participants see and is none': 'counts in /proc',
  'a pipe is read as it comes': 'needs mkfifo',
  'what the system says of a size is no end: files of /proc are read to theirs': 'needs /proc',
  'start and end hold for devices and pipes, too': 'needs mkfifo and devices of Unix',
  'when the manager closes, reading fails, whatever it was at': 'needs mkfifo',
  'readInto: memory that is read into is nobody else’s': 'needs mkfifo',
  'a file that was opened here is closed here, however the loop ends': 'counts in /proc',
  'a manager closes while a thread waits to read into its memory': 'needs mkfifo',
  'a guarded view ends, and its manager closes, while a thread waits to read into it': 'needs mkfifo',
  'a stopped subscriber': 'stops processes by signals',
  'a client that is stopped holds up nobody else': 'stops processes by signals',
  '17b: ': 'ends processes by signals that do not tell here',
  'run: the first SIG': 'ends processes by signals that do not tell here',
  '200 flows, one after the other': 'counts in /proc',
  '100 flows, one after the other': 'counts in /proc',
}
