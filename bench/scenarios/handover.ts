import { handover } from '../lib/handover.js'
import { pair } from '../lib/pair.js'
import { atLeast, noLessThan, type Row, type Scenario } from '../lib/row.js'
import { SIZES } from '../lib/sizes.js'
import { unixSocket } from '../peers/unix-socket.js'

const MIB = 2 ** 20

/** Filled buffers change hands; nobody copies anything. */
export const handedOver: Scenario = {
  name: 'handover',
  title: 'throughput of filled buffers that are handed over, by size',
  rows({ quick }) {
    // The same number of each size, and few enough for the largest.
    const around = quick ? 4 : 16
    const sizes = SIZES.filter(({ bytes }) => bytes >= 1024).toReversed()
    const bySize: Row = {
      id: 'handover-by-size',
      title: `${around} filled buffers go round, by size`,
      unit: 'msg/s',
      better: 'higher',
      contenders: (quick ? [sizes[0]!, sizes.at(-1)!] : sizes).map(({ bytes, name }) =>
        handover(name, bytes, around, true),
      ),
      targets: [atLeast(0.9, '1 KiB')],
    }
    const batches: Row = {
      id: 'handover-batches',
      title: '256 filled buffers of 1 MiB go round, up to 64 to a call',
      unit: 'msg/s',
      better: 'higher',
      contenders: [
        handover('Millrace, batches', MIB, 256, true),
        pair(unixSocket, { kind: 'stream', bytes: MIB, batches: false }),
      ],
      targets: [atLeast(1000, unixSocket.name), noLessThan(3e6, '3 M msg/s')],
    }
    const single: Row = {
      id: 'handover-single',
      title: '256 filled buffers of 1 MiB go round, one call per message',
      unit: 'msg/s',
      better: 'higher',
      contenders: [
        handover('Millrace', MIB, 256, false),
        pair(unixSocket, { kind: 'stream', bytes: MIB, batches: false }),
      ],
    }
    return quick ? [bySize, batches] : [bySize, batches, single]
  },
}
