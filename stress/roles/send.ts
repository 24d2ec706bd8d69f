import { setImmediate, setTimeout } from 'node:timers/promises'
import { newTally, tallyUp } from '../../__test__/fixtures/tally.js'
import type { Ends } from '../lib/end.js'
import { BURST_PAUSE_MS, type SendJob, type Sent } from '../lib/jobs.js'
import { fill } from '../lib/message.js'

/** After so many messages the event loop turns, though there was always room. */
const TURN = 64

/** Sends until there are as many as asked for, or `goesOn` says no; calls `sent` after each. */
export async function send(ends: Ends, job: SendJob, goesOn: () => boolean, sent: () => void): Promise<Sent> {
  const { ways, sender, bytes, burst = Infinity, count = Infinity } = job
  const outlets = ways.names.map((name) => ends.open(ways.kind, name, ways.capacity).outlet())
  const tallies = Object.fromEntries(ways.names.map((name) => [name, newTally()]))
  for (let at = 0; at < count && goesOn(); at++) {
    const way = at % outlets.length
    const tally = tallies[ways.names[way]!]!
    const sequence = tally.count
    await outlets[way]!.send(bytes[at % bytes.length]!, (target) => fill(target, sender, sequence))
    tallyUp(tally, sequence, true)
    sent()
    if (at % burst === burst - 1) await setTimeout(BURST_PAUSE_MS)
    else if (at % TURN === 0) await setImmediate()
  }
  return tallies
}
