import { newTally, type Tally, tallyUp } from '../../__test__/fixtures/tally.js'
import type { End } from '../lib/end.js'
import type { Fault, Received } from '../lib/jobs.js'
import { read } from '../lib/message.js'
import { Reservoir } from '../lib/reservoir.js'

/** The message that a fault is about. */
const FAULTY = 10

/** Receives from all `ends` until each is shut and empty; calls `came` after each message. */
export async function receive(
  ends: ReadonlyMap<string, AsyncIterable<Uint8Array>>,
  came: () => void,
  fault: Fault | undefined,
): Promise<Received> {
  const latencies = new Reservoir()
  const each = [...ends].map(async ([name, messages]) => [name, await tallied(messages)] as const)
  return { tallies: Object.fromEntries(await Promise.all(each)), latencies: latencies.values }

  async function tallied(messages: AsyncIterable<Uint8Array>): Promise<Record<number, Tally>> {
    const tallies: Record<number, Tally> = {}
    for await (const bytes of messages) {
      const { sender, sequence, us, intact } = read(bytes)
      count((tallies[sender] ??= newTally()), sequence, intact)
      latencies.add(us)
      came()
    }
    return tallies
  }

  function count(tally: Tally, sequence: number, intact: boolean): void {
    const isFaulty = tally.count === FAULTY
    if (isFaulty && fault === 'lose') return void (fault = undefined)
    if (isFaulty && fault === 'repeat') tallyUp(tally, sequence, intact)
    if (isFaulty && fault === 'swap') tally.last = sequence + 1
    if (isFaulty && fault === 'throw') throw new Error('on purpose')
    if (isFaulty && fault === 'die') process.kill(process.pid, 'SIGKILL')
    tallyUp(tally, sequence, intact && !(isFaulty && fault === 'damage'))
  }
}

/** What `ends` bring, from now on. */
export function messagesOf(ends: ReadonlyMap<string, End>): Map<string, AsyncIterable<Uint8Array>> {
  return new Map([...ends].map(([name, end]) => [name, end.messages()]))
}
