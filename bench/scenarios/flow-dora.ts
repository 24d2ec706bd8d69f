import { doraLink, millraceLink } from '../lib/link.js'
import { atLeast, atMost, type Row, type Scenario } from '../lib/row.js'

const SIZES = [
  ['64b', '64 B', 64],
  ['64kib', '64 KiB', 64 * 1024],
  ['4mib', '4 MiB', 4 * 2 ** 20],
] as const
const GAP_MS = 5

/** One link between two processes, beside dora. */
export const doraLinks: Scenario = {
  name: 'flow-dora',
  title: 'a link between two processes, written in scripts, beside dora',
  rows: ({ quick }) => (quick ? [] : [...SIZES.map(throughput), ...SIZES.map(latency)]),
}

function throughput([id, size, bytes]: (typeof SIZES)[number]): Row {
  const form = { bytes, gapMs: 0 }
  return {
    id: `flow-dora-${id}`,
    title: `${size} from one process to another, written by the sender; received`,
    unit: 'msg/s',
    better: 'higher',
    contenders: [millraceLink(form), doraLink(form)],
    targets: [atLeast(2, 'dora, Python')],
  }
}

function latency([id, size, bytes]: (typeof SIZES)[number]): Row {
  const form = { bytes, gapMs: GAP_MS }
  return {
    id: `flow-dora-latency-${id}`,
    title: `${size} from one process to another, one every ${GAP_MS} ms: from its time stamp to the receiver, p50`,
    unit: 'us',
    better: 'lower',
    contenders: [millraceLink(form), doraLink(form)],
    targets: [atMost(0.5, 'dora, Python')],
  }
}
