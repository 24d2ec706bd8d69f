import { pair } from '../lib/pair.js'
import type { Scenario } from '../lib/row.js'
import { type Size, SIZES, slug } from '../lib/sizes.js'
import { millrace, millraceCopies } from '../peers/millrace.js'
import { unixSocket } from '../peers/unix-socket.js'

/** What it costs that a runtime, such as Electron, has no external ArrayBuffers. */
export const copies: Scenario = {
  name: 'copies',
  title: 'throughput where JavaScript sees copies of messages only, by size',
  rows: ({ quick }) => (quick ? [] : SIZES.map(rowOf)),
}

function rowOf(size: Size) {
  const work = { kind: 'stream', bytes: size.bytes, batches: false } as const
  return {
    id: `copies-${slug(size)}`,
    title: `${size.name} copied in and out, one call per message`,
    unit: 'msg/s',
    better: 'higher',
    contenders: [millraceCopies, millrace, unixSocket].map((transport) => pair(transport, work)),
  } as const
}
