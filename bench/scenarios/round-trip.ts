import { pair } from '../lib/pair.js'
import { atMost, noMoreThan, p99AtMost, type Row, type Scenario } from '../lib/row.js'
import { ipcAdvanced, ipcJson } from '../peers/child-process.js'
import { messagePortCopy } from '../peers/message-port.js'
import { millrace, millraceSpinning } from '../peers/millrace.js'
import { redis } from '../peers/redis.js'
import type { Transport } from '../peers/transport.js'
import { unixSocket } from '../peers/unix-socket.js'
import { zeromq } from '../peers/zeromq.js'
import { rust } from '../lib/rust.js'
import { polling } from '../lib/polling.js'

const futex = (gapUs: number) => rust('futex', ['round-trip', 'futex', '--gap-us', String(gapUs)])
const OTHERS = [zeromq, messagePortCopy, ipcAdvanced, ipcJson, redis]
/** Long enough for both event loops, and the cores, to fall asleep. */
const GAP_MS = 2

/** One buffer to and fro. */
const polled: Row = {
  id: 'round-trip-polling',
  title: 'round trip, both sides polling (tryReceive in a loop), p50',
  unit: 'us',
  better: 'lower',
  contenders: [polling, rust('cache line', ['round-trip', 'cache-line', '--spin'])],
  targets: [noMoreThan(1, '1 us')],
}

/** 64 bytes to another process and back. */
export const roundTrip: Scenario = {
  name: 'round-trip',
  title: 'round trip of 64 bytes: parked, under way, polling',
  rows({ quick }) {
    const transports = quick ? [millrace, unixSocket] : [millrace, unixSocket, ...OTHERS]
    const of = (gapMs: number, ...more: Transport[]) =>
      [...more, ...transports].map((transport) => pair(transport, { kind: 'round-trip', bytes: 64, gapMs }))
    const parked: Row = {
      id: 'round-trip-parked',
      title: `round trip after ${GAP_MS} ms of rest, both event loops parked, p50`,
      unit: 'us',
      better: 'lower',
      contenders: [...of(GAP_MS), futex(GAP_MS * 1000)],
      targets: [atMost(1.25, 'futex'), atMost(1, unixSocket.name), p99AtMost(1, unixSocket.name)],
    }
    const underWay: Row = {
      id: 'round-trip-under-way',
      title: 'round trip, one right after the other, p50',
      unit: 'us',
      better: 'lower',
      contenders: [...of(0, millraceSpinning), futex(0)],
      targets: [atMost(0.25, unixSocket.name)],
    }
    return [parked, underWay, polled]
  },
}
