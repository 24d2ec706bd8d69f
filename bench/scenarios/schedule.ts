import { availableParallelism } from 'node:os'
import { Program } from '../lib/control.js'
import { pair } from '../lib/pair.js'
import { atMost, type Contender, p99AtMost, type Row, type Scenario } from '../lib/row.js'
import type { ScheduleWork } from '../lib/work.js'
import { atomicsRing } from '../peers/atomics-ring.js'
import { millrace, millraceBatches } from '../peers/millrace.js'
import type { Transport } from '../peers/transport.js'
import { unixSocket, unixSocketBatched } from '../peers/unix-socket.js'
import { zeromq } from '../peers/zeromq.js'

/**
 * Messages that are due at fixed times, measured from then, not from when they were sent: what holds one up counts for all
 * that are late because of it.
 */
export const schedule: Scenario = {
  name: 'schedule',
  title: 'latency of messages on a schedule: at rest, under load, in bursts',
  rows({ quick }) {
    if (quick) return []
    const single: ScheduleWork = { kind: 'schedule', bytes: 64, burst: 1, everyMs: 4 }
    const burst: ScheduleWork = { kind: 'schedule', bytes: 64, burst: 1000, everyMs: 20 }
    const transports = [millrace, unixSocket, zeromq]
    return [
      row(
        'one-way',
        '64 B every 4 ms, one way, p50',
        transports.map((transport) => pair(transport, single)),
      ),
      row(
        'one-way-under-load',
        '64 B every 4 ms, one way, while other processes keep all cores busy, p50',
        transports.map((transport) => underLoad(transport, single)),
      ),
      row(
        'burst',
        'burst of 1000 messages of 64 B every 20 ms: until the last one has arrived, p50',
        [millraceBatches, unixSocketBatched, atomicsRing].map((transport) => pair(transport, burst)),
        unixSocketBatched,
      ),
    ]
  },
}

function row(id: string, title: string, contenders: readonly Contender[], anchor: Transport = unixSocket): Row {
  const targets = [atMost(1, anchor.name), p99AtMost(1, anchor.name)]
  return { id, title, unit: 'us', better: 'lower', contenders, targets }
}

function underLoad(transport: Transport, work: ScheduleWork): Contender {
  const contender = pair(transport, work)
  return {
    ...contender,
    async measure(settings) {
      const busy = Array.from({ length: availableParallelism() }, () => Program.process('busy', null))
      await Promise.all(busy.map((program) => program.usage()))
      try {
        return await contender.measure(settings)
      } finally {
        await Promise.all(busy.map((program) => program.stop()))
      }
    },
  }
}
