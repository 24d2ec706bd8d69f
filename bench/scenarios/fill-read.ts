import { pair } from '../lib/pair.js'
import { atLeast, type Contender, type Scenario } from '../lib/row.js'
import { rust } from '../lib/rust.js'
import { millrace } from '../peers/millrace.js'
import type { Transport } from '../peers/transport.js'
import { unixSocket } from '../peers/unix-socket.js'

const BYTES = 2 ** 20

/** Both sides touch every byte: the sender copies 1 MiB in, the receiver copies it out. */
export const fillRead: Scenario = {
  name: 'fill-read',
  title: 'bandwidth when both sides touch every byte, beside memcpy',
  rows: ({ quick }) => [
    {
      id: 'fill-read-1mib',
      title: '1 MiB copied in by the sender and copied out by the receiver',
      unit: 'GB/s',
      better: 'higher',
      contenders: [
        bandwidth(millrace),
        ...(quick ? [] : [bandwidth(unixSocket)]),
        rust('memcpy, one core', ['memcpy']),
      ],
      targets: [atLeast(0.8, 'memcpy, one core')],
    },
  ],
}

function bandwidth(transport: Transport): Contender {
  const contender = pair(transport, { kind: 'stream', bytes: BYTES, batches: false, readAll: true })
  return {
    name: contender.name,
    async measure(settings) {
      const sample = await contender.measure(settings)
      return { ...sample, value: (sample.value * BYTES) / 1e9 }
    },
  }
}
