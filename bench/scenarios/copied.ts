import { pair } from '../lib/pair.js'
import { atLeast, noLessThan, type Row, type Scenario } from '../lib/row.js'
import { type Size, SIZES, slug } from '../lib/sizes.js'
import { atomicsRing } from '../peers/atomics-ring.js'
import { ipcAdvanced, ipcJson } from '../peers/child-process.js'
import { messagePortCopy, messagePortTransfer } from '../peers/message-port.js'
import { millrace, millraceBatches } from '../peers/millrace.js'
import { redis } from '../peers/redis.js'
import { unixSocket, unixSocketBatched } from '../peers/unix-socket.js'
import { zeromq } from '../peers/zeromq.js'

const BATCHES = [millraceBatches, unixSocketBatched, atomicsRing]
const SINGLE = [millrace, unixSocket, zeromq, messagePortCopy, messagePortTransfer, ipcAdvanced, ipcJson, redis]
const LARGE = 2 ** 20

/** Messages are copied in; the receiver sees each as bytes of its own, and looks at both ends of it. */
export const copied: Scenario = {
  name: 'copied',
  title: 'throughput of messages that are copied in, by size',
  rows: (settings) => (settings.quick ? quickRows() : SIZES.flatMap(rowsOf)),
}

function quickRows(): Row[] {
  const [small] = SIZES
  return [batchRow(small!, [millraceBatches, unixSocketBatched]), singleRow(small!, [millrace, unixSocket, zeromq])]
}

function rowsOf(size: Size): Row[] {
  if (size.bytes >= LARGE) return [singleRow(size, [...SINGLE, atomicsRing])]
  return [batchRow(size, BATCHES), singleRow(size, SINGLE)]
}

function batchRow(size: Size, transports: typeof BATCHES): Row {
  return {
    id: `copied-${slug(size)}-batches`,
    title: `${size.name} copied in, batches of 256`,
    unit: 'msg/s',
    better: 'higher',
    contenders: transports.map((transport) => pair(transport, { kind: 'stream', bytes: size.bytes, batches: true })),
    ...(size.bytes === 64 && {
      targets: [atLeast(1.5, unixSocketBatched.name), noLessThan(10e6, '10 M msg/s on a quiet machine')],
    }),
  }
}

function singleRow(size: Size, transports: typeof SINGLE): Row {
  return {
    id: `copied-${slug(size)}`,
    title: `${size.name} copied in, one call per message`,
    unit: 'msg/s',
    better: 'higher',
    contenders: transports.map((transport) => pair(transport, { kind: 'stream', bytes: size.bytes, batches: false })),
    ...(size.bytes === 64 && {
      targets: [atLeast(8, unixSocket.name, zeromq.name), noLessThan(3e6, '3 M msg/s')],
    }),
  }
}
