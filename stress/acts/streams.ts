import type { Tally } from '../../__test__/fixtures/tally.js'
import type { Received, SendJob, Sent, Ways } from '../lib/jobs.js'
import type { Participant, Stage } from '../lib/stage.js'

/** A stream as a scenario describes it. */
export interface Stream extends Omit<SendJob, 'ways' | 'sender' | 'count'> {
  readonly ways: Omit<Ways, 'names'> & { readonly count: number }
  readonly senders: number
  readonly receivers: number
  /** Besides, one process after the other comes, sends so many messages, and goes. */
  readonly visits?: number
}

/** Messages from some participants to others until the time is over; then everything that was sent has come, and is what it was. */
export async function streams(stage: Stage, stream: Stream): Promise<void> {
  const { senders, receivers, visits, ways: via, ...what } = stream
  const ways: Ways = { ...via, names: Array.from({ length: via.count }, (_, i) => `way-${i}`) }
  const sinks = await stage.start('receiver', receivers, true)
  await stage.askAll(sinks, 'attach', ways)
  const ends = ways.names.map((name) => stage.ends.open(ways.kind, name, ways.capacity))
  stage.atEnd(() => ends.forEach((end) => end.destroy()))
  const received = stage.askAll<Received>(sinks, 'receive')

  const sources = await stage.start('sender', senders)
  const sent = Promise.all(
    sources.map((source, sender) => stage.ask<Sent>(source, 'send', { ...what, ways, sender } satisfies SendJob)),
  )
  const visited = visits === undefined ? [] : visit(stage, { ...what, ways, sender: senders, count: visits })
  await stage.time()
  await stage.askAll(sources, 'stop')
  const all = [...(await sent), ...(await visited)]
  for (const end of ends) end.shut()
  account(stage, ways, all, await received)
}

/** Processes that come, send, and go, one after the other. */
async function visit(stage: Stage, job: SendJob): Promise<(Sent | undefined)[]> {
  const sent: (Sent | undefined)[] = []
  while (!stage.isOver) {
    const [visitor] = (await stage.start('visitor', 1)) as [Participant]
    sent.push(await stage.ask<Sent>(visitor, 'send', { ...job, sender: job.sender + sent.length } satisfies SendJob))
    await stage.stop([visitor])
  }
  return sent
}

/** Compares, by way and sender, what was sent with what came. Each receiver of a topic gets everything. */
function account(stage: Stage, ways: Ways, sent: readonly (Sent | undefined)[], received: readonly Received[]): void {
  stage.latencies.push(...received.map(({ latencies }) => latencies))
  const groups = ways.kind === 'topic' ? received.map((one) => [one]) : [received]
  for (const name of ways.names) {
    for (const [sender, went] of sent.entries()) {
      const expected = went?.[name]
      for (const group of groups) {
        const parts = group.flatMap(({ tallies }) => tallies[name]?.[sender] ?? [])
        const came = total(parts)
        stage.messages += came.count
        // A sender that failed cannot say what it sent; that it failed is a problem already.
        if (expected !== undefined) compare(stage, `${name}, sender ${sender + 1}`, expected, came)
      }
    }
  }
}

type Total = Omit<Tally, 'last'>

function total(parts: readonly Tally[]): Total {
  const sum = (what: keyof Tally) => parts.reduce((all, part) => all + part[what], 0)
  const xor = parts.reduce((all, part) => all ^ part.xor, 0)
  const [count, disordered, damaged] = [sum('count'), sum('disordered'), sum('damaged')]
  return { count, sum: sum('sum') % 2 ** 32, xor, disordered, damaged }
}

function compare(stage: Stage, where: string, sent: Tally, came: Total): void {
  stage.expect(came.count === sent.count, `${where}: ${sent.count} messages were sent, ${came.count} came`)
  const same = came.sum === sent.sum && came.xor === sent.xor
  stage.expect(came.count !== sent.count || same, `${where}: other messages came than were sent`)
  stage.expect(came.disordered === 0, `${where}: ${came.disordered} messages came out of order, or twice`)
  stage.expect(came.damaged === 0, `${where}: ${came.damaged} messages were damaged`)
}
