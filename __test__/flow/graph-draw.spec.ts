// Drawings of flows, to the letter.
import test from 'ava'
import type { BlockStats, FlowData, LinkStats } from '../../flow.js'
import { drawFlow, Flow } from '../../flow.js'
import { notStarted } from '../../lib/flow/stats.js'
import { openDomain } from '../helpers/domain.js'
import { throwsCode } from '../helpers/errors.js'

/** One of everything that is drawn in a way of its own. */
const FLOW: FlowData = {
  millrace: 1,
  name: 'say "hi"',
  blocks: [
    { name: 'read', class: 'NullSource', settings: { size: 1 } },
    {
      name: 'scale',
      module: './resize.mjs',
      export: 'scale',
      process: 'cpu',
      replicas: 2,
      onError: { deadLetters: 'bad' },
    },
    { name: '<b> & "c"', closure: 'MapBlock', process: 'cpu' },
    { name: 'back', class: 'Merge', outputs: { out: ['results'] } },
    { name: 'in', class: 'NullSink', inputs: { in: 'samples' } },
  ],
  links: [
    { from: 'read.out', to: 'back.in0', capacity: 64, delivery: 'at-least-once' },
    { from: 'back.out', to: 'scale.in' },
    { from: 'scale.out', to: '<b> & "c".in', overflow: 'drop-oldest' },
    { from: '<b> & "c".out', to: 'back.in1', feedback: true },
  ],
}
const NAMED = { ...FLOW, name: 'drawn' }

const counted = (name: string, counts: Partial<BlockStats>): BlockStats => ({ ...notStarted(name), ...counts })

const link = (to: string, counts: Partial<LinkStats>): LinkStats => {
  const none = { capacity: 0, depth: 0, highWater: 0, sent: 0, dropped: 0, sendWaits: 0, receiveWaits: 0 }
  return { from: [], to, queue: to, ...none, oldest: null, ...counts }
}

const STATS = {
  blocks: [
    counted('read', { items: 10 }),
    counted('scale.0', { items: 4, retried: 1, lost: 2 }),
    counted('scale.1', { items: 6, skipped: 3 }),
    counted('back', { items: 12, state: 'failed' }),
  ],
  links: [
    link('back.in0', { sent: 10, highWater: 3, capacity: 64 }),
    link('<b> & "c".in', { sent: 12, highWater: 1024, capacity: 1024, dropped: 5 }),
  ],
}

test('Mermaid', (t) => {
  t.is(
    drawFlow(NAMED),
    `flowchart LR
  b0["read<br/>NullSource"]
  b3["back<br/>Merge"]
  b4["in<br/>NullSink"]
  q0[("bad")]
  q1[("results")]
  q2[("samples")]
  subgraph p1["process cpu"]
    b1("scale × 2<br/>./resize.mjs scale")
    b2("#60;b#62; #38; #34;c#34;<br/>MapBlock")
  end
  b0 -->|"out → in0<br/>64, at-least-once"| b3
  b3 --> b1
  b1 -->|"drop-oldest"| b2
  b2 -.->|"out → in1<br/>feedback"| b3
  b1 -.->|"dead letters"| q0
  b3 --> q1
  q2 --> b4
`,
  )
})

test('DOT', (t) => {
  t.is(
    drawFlow(NAMED, { format: 'dot', stats: STATS }),
    `digraph "drawn" {
  rankdir=LR
  node [fontname=monospace]
  edge [fontname=monospace]
  b0 [label="read\\nNullSource\\n10 items", shape=box]
  b3 [label="back\\nMerge\\n12 items", shape=box, color=red]
  b4 [label="in\\nNullSink", shape=box]
  q0 [label="bad", shape=cylinder]
  q1 [label="results", shape=cylinder]
  q2 [label="samples", shape=cylinder]
  subgraph cluster1 {
    label="process cpu"
    b1 [label="scale × 2\\n./resize.mjs scale\\n10 items\\n1 retried\\n3 skipped\\n2 lost", shape=box, style=rounded]
    b2 [label="<b> & \\"c\\"\\nMapBlock", shape=box, style=rounded]
  }
  b0 -> b3 [label="out → in0\\n64, at-least-once\\n10 sent, at most 3 of 64"]
  b3 -> b1
  b1 -> b2 [label="drop-oldest\\n12 sent, at most 1024 of 1024\\n5 dropped"]
  b2 -> b3 [label="out → in1\\nfeedback", style=dashed]
  b1 -> q0 [label="dead letters", style=dashed]
  b3 -> q1
  q2 -> b4
}
`,
  )
})

test('failed blocks stand out in Mermaid, too', (t) => {
  const lines = drawFlow(NAMED, { stats: STATS }).trimEnd().split('\n')
  t.deepEqual(lines.slice(-2), ['  classDef failed stroke:#c00,stroke-width:3px', '  class b3 failed'])
})

test('a Flow is drawn with the counts of its run', async (t) => {
  const made = await Flow.fromJSON(openDomain(t), {
    millrace: 1,
    name: 'run',
    blocks: [
      { name: 'read', class: 'NullSource', settings: { size: 1, count: 7 } },
      { name: 'sink', class: 'NullSink' },
    ],
    links: [{ from: 'read.out', to: 'sink.in' }],
  })
  const run = await made.start()
  await run.done
  const stats = run.stats()
  const { highWater } = stats.links[0]!
  t.is(
    drawFlow(made, { stats }),
    `flowchart LR
  b0["read<br/>NullSource<br/>7 items"]
  b1["sink<br/>NullSink<br/>7 items"]
  b0 -->|"7 sent, at most ${highWater} of 1024"| b1
`,
  )
})

test('what cannot be drawn is refused', (t) => {
  throwsCode(t, () => drawFlow(FLOW), 'ERR_MILLRACE_INVALID_ARGUMENT', 'name must be a name')
  throwsCode(t, () => drawFlow(NAMED, { format: 'png' as 'dot' }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'format', '"png"')
  throwsCode(t, () => drawFlow({ ...NAMED, blocks: [] }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'a list that is not empty')
  t.notThrows(() => drawFlow({ ...NAMED, links: [{ from: 'nobody.out', to: 'read.in' }] }))
})
