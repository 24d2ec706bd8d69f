import { type Shape, shape } from '../lib/domain.js'
import { comparedTo, type Row, type Scenario } from '../lib/row.js'

/** Figures of the report of the system that Millrace comes from: 100 buffers in 2.1 s, 150 in 13.1 s. */
export const ONE_TO_ONE = 48
export const THREE_TO_ONE = 11
/** The reports do not say how large their buffers were. */
const BYTES = 1024

/** The two streaming scenarios of the systems Millrace comes from: every buffer allocated, filled, sent, read and released. */
export const seeds: Scenario = {
  name: 'seeds',
  title: "the origins' streaming scenarios, their own figures beside",
  rows: ({ quick }) =>
    quick
      ? []
      : [
          row('seed-1-1', 'one producer, one consumer', ONE_TO_ONE, { name: 'Millrace' }),
          row('seed-3-1', 'three producers, one consumer', THREE_TO_ONE, { name: 'Millrace', producers: 3 }),
        ],
}

function row(id: string, title: string, figure: number, form: Shape): Row {
  return {
    id,
    title: `1 KiB buffers allocated, filled, sent, read, released: ${title}`,
    unit: 'msg/s',
    better: 'higher',
    contenders: [shape({ ...form, bytes: BYTES, style: 'filled' })],
    beside: `the origin's report says ${figure} buffers/s`,
    targets: [comparedTo(figure, 20_000, 'higher', `≥ 20 000 × the ${figure} buffers/s of the origin's report`)],
  }
}
