import { Program } from '../lib/control.js'
import { inFolder } from '../lib/pair.js'
import { atMost, type Contender, noMoreThan, type Scenario } from '../lib/row.js'

const [SUBJECT, ...OTHERS] = ['Millrace, objects', 'Millrace, buffers', 'Millrace, json'] as const
const PEERS = ['node:stream, objectMode', 'async generators']

/** Steps of JavaScript on one event loop. */
export const flowJs: Scenario = {
  name: 'flow-js',
  title: 'blocks of JavaScript: what an object costs from one to the next',
  rows: ({ quick }) => [
    {
      id: 'flow-js-hop',
      title: 'small objects from a source through two maps to a sink, each hop',
      unit: 'ns',
      better: 'lower',
      contenders: [SUBJECT, ...OTHERS, ...PEERS].map((how) => contender(how, quick ? 200_000 : 1_000_000)),
      targets: [...PEERS.map((peer) => atMost(0.2, peer)), noMoreThan(20, '20 ns')],
    },
  ],
}

function contender(how: string, count: number): Contender {
  return {
    name: how,
    measure: () =>
      inFolder(async (directory) => {
        const program = Program.process('flow-js', { directory, how })
        await program.request('run', count)
        const value = await program.request<number>('run', count)
        await program.stop()
        return { value }
      }),
  }
}
