import { atLeast, atMost, type Row, type Scenario } from '../lib/row.js'
import { rust } from '../lib/rust.js'

/** The core alone, without Node.js, beside what a Rust program would use. */
export const rustCore: Scenario = {
  name: 'rust',
  title: 'the core beside iceoryx2, ArrayQueue, a mutex queue and a pipe, in Rust',
  rows: ({ quick }) =>
    quick ? [shortened(stream, 2), shortened(spinning, 3)] : [stream, batches, fanOut, manyToOne, spinning, sleeping],
}

/** The subject and the anchors of the targets, without the rest. */
function shortened(row: Row, contenders: number): Row {
  return { ...row, contenders: row.contenders.slice(0, contenders) }
}

const stream: Row = {
  id: 'rust-stream',
  title: 'Rust, 64 B published and received, one call per message, 1:1',
  unit: 'msg/s',
  better: 'higher',
  contenders: [
    rust('Millrace', ['stream', 'millrace']),
    rust('iceoryx2', ['stream', 'iceoryx2']),
    rust('mutex + condvar', ['stream', 'mutex']),
    rust('pipe', ['stream', 'pipe']),
    rust('ArrayQueue', ['stream', 'array-queue']),
  ],
  targets: [atLeast(1, 'iceoryx2')],
}

const batches: Row = {
  id: 'rust-stream-batches',
  title: 'Rust, 64 B published and received, batches of 64, 1:1',
  unit: 'msg/s',
  better: 'higher',
  contenders: [
    rust('Millrace, batches', ['stream', 'millrace-batches']),
    rust('iceoryx2', ['stream', 'iceoryx2']),
    rust('mutex + condvar', ['stream', 'mutex']),
    rust('ArrayQueue', ['stream', 'array-queue']),
  ],
  targets: [atLeast(1, 'iceoryx2'), atLeast(20, 'mutex + condvar')],
}

const fanOut: Row = {
  id: 'rust-1-n',
  title: 'Rust, 64 B, one producer, each of 4 consumers gets every message; deliveries',
  unit: 'msg/s',
  better: 'higher',
  contenders: ['millrace', 'iceoryx2'].map((name) =>
    rust(name === 'millrace' ? 'Millrace' : name, ['stream', name, '--consumers', '4', '--fan-out']),
  ),
  targets: [atLeast(1, 'iceoryx2')],
}

const manyToOne: Row = {
  id: 'rust-n-1',
  title: 'Rust, 64 B, 4 producers, one consumer',
  unit: 'msg/s',
  better: 'higher',
  contenders: ['millrace', 'iceoryx2', 'mutex'].map((name) =>
    rust({ millrace: 'Millrace', mutex: 'mutex + condvar' }[name] ?? name, ['stream', name, '--producers', '4']),
  ),
  targets: [atLeast(1, 'iceoryx2')],
}

const spinning: Row = {
  id: 'rust-round-trip-spinning',
  title: 'Rust, round trip of 64 B, both sides spinning on cores of their own, p50',
  unit: 'us',
  better: 'lower',
  contenders: [
    rust('Millrace', ['round-trip', 'millrace', '--spin']),
    rust('iceoryx2', ['round-trip', 'iceoryx2', '--spin']),
    rust('cache line', ['round-trip', 'cache-line', '--spin']),
    rust('ArrayQueue', ['round-trip', 'array-queue', '--spin']),
    rust('mutex', ['round-trip', 'mutex', '--spin']),
  ],
  targets: [atMost(1, 'iceoryx2'), atMost(3, 'cache line')],
}

const sleeping: Row = {
  id: 'rust-round-trip-sleeping',
  title: 'Rust, round trip of 64 B, both sides asleep in the kernel between messages, p50',
  unit: 'us',
  better: 'lower',
  contenders: [
    rust('Millrace', ['round-trip', 'millrace']),
    rust('iceoryx2, publish-subscribe + event', ['round-trip', 'iceoryx2']),
    rust('futex', ['round-trip', 'futex']),
    rust('pipe', ['round-trip', 'pipe']),
    rust('mutex + condvar', ['round-trip', 'mutex']),
  ],
  targets: [atMost(1, 'iceoryx2, publish-subscribe + event'), atMost(1.25, 'futex')],
}
