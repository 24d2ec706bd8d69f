import { type Shape, shape } from '../lib/domain.js'
import type { Row, Scenario } from '../lib/row.js'

/** How the cost of a message changes as there are more of everything. The first of each row is the subject: 1 of all. */
export const shapes: Scenario = {
  name: 'shapes',
  title: 'throughput by producers × consumers, by queues, by participants',
  rows: ({ quick }) => (quick ? [] : [...crowds(), byQueues, byParticipants]),
}

const N = [2, 4, 8]
const ONE: Shape = { name: '1:1' }

function crowds(): Row[] {
  return [
    row('shape-1-n', '64 B copied in, batches of 64, one producer, n consumers', [
      ONE,
      ...N.map((consumers) => ({ name: `1:${consumers}`, consumers })),
    ]),
    row('shape-n-1', '64 B copied in, batches of 64, n producers, one consumer', [
      ONE,
      ...N.map((producers) => ({ name: `${producers}:1`, producers })),
    ]),
    row('shape-n-n', '64 B copied in, batches of 64, n producers, n consumers', [
      ONE,
      ...N.map((n) => ({ name: `${n}:${n}`, producers: n, consumers: n })),
    ]),
  ]
}

const byQueues = row(
  'queues',
  '64 B copied in, batches of 4, one producer, one consumer, queues in turn',
  [1, 10, 100, 1000].map((queues) => ({ name: queues === 1 ? '1 queue' : `${queues} queues`, queues, batch: 4 })),
)

const byParticipants = row(
  'participants',
  '64 B copied in, batches of 64, one producer, one consumer, others parked in the same domain',
  [0, 10, 98].map((parked) => ({ name: `${parked} others`, parked })),
)

function row(id: string, title: string, forms: readonly Shape[]): Row {
  return { id, title, unit: 'msg/s', better: 'higher', contenders: forms.map(shape) }
}
