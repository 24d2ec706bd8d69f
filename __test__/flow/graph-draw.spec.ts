// Drawings of flows, to the letter.
import test, { type ExecutionContext } from 'ava'
import type { BlockStats, FlowData, LinkStats } from '../../flow.js'
import { drawFlow, Flow, parseFlow } from '../../flow.js'
import { notStarted } from '../../lib/flow/block/stats.js'
import { textOf } from '../helpers/documents.js'
import { openDomain } from '../helpers/domain.js'
import { throwsCode } from '../helpers/errors.js'
import { randomFlow } from '../helpers/random-flow.js'

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

test('SVG: every box, arrow and process is there, boxes lie beside each other, and it is XML', (t) => {
  const svg = drawFlow(NAMED, { format: 'svg', stats: STATS })
  isXml(t, svg)
  t.deepEqual(
    textsIn(svg, 'g').toSorted(),
    [
      'back Merge 12 items',
      'bad',
      'in NullSink',
      'read NullSource 10 items',
      'results',
      'samples',
      'scale × 2 ./resize.mjs scale 10 items 1 retried 3 skipped 2 lost',
      '&lt;b&gt; &amp; "c" MapBlock',
    ].toSorted(),
  )
  t.is([...svg.matchAll(/marker-end/g)].length, 7)
  t.is([...svg.matchAll(/>process cpu</g)].length, 1)
  t.deepEqual(overlapping(svg), [])
})

test('SVG of flows made at random: boxes lie beside each other', (t) => {
  for (let seed = 0; seed < 50; seed++) {
    const { data } = randomFlow(seed)
    const svg = drawFlow(data, { format: 'svg' })
    isXml(t, svg)
    t.is(boxesIn(svg).length, data.blocks.length)
    t.is([...svg.matchAll(/marker-end/g)].length, data.links!.length)
    t.deepEqual(overlapping(svg), [], `seed ${seed}`)
  }
})

/** Every element that is opened is closed, in order, and nothing else has a bracket. */
function isXml(t: ExecutionContext, text: string): void {
  const open: string[] = []
  for (const [, closing, name, empty] of text.matchAll(/<(\/?)(\w+)(?: [\w-]+="[^"<]*")*(\/?)>/g)) {
    if (closing === '/') t.is(open.pop(), name)
    else if (empty !== '/') open.push(name!)
  }
  t.deepEqual(open, [])
  t.notRegex(text.replaceAll(/<[^<>]*>/g, ''), /[<>]|&(?!amp;|lt;|gt;)/)
}

/** What the elements of a name say, a line after the other. */
function textsIn(svg: string, name: string): string[] {
  const elements = [...svg.matchAll(new RegExp(`<${name}>.*?</${name}>`, 'g'))]
  return elements.map(([element]) => [...element.matchAll(/>([^<>]+)</g)].map(([, line]) => line).join(' '))
}

/** Left, top, right and bottom of the boxes of blocks and queues. */
function boxesIn(svg: string): [number, number, number, number][] {
  const boxes = svg.matchAll(/<g><rect x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)" height="([\d.]+)"/g)
  return [...boxes].map(([, ...sides]) => {
    const [x, y, width, height] = sides.map(Number) as [number, number, number, number]
    return [x, y, x + width, y + height]
  })
}

function overlapping(svg: string): unknown[] {
  const boxes = boxesIn(svg)
  return boxes.flatMap((a, at) => {
    return boxes
      .slice(at + 1)
      .filter((b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3])
      .map((b) => [a, b])
  })
}

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

test('the flow of the documents has the structure of one', (t) => {
  const flows = [...textOf('docs/flow-files.md').matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text!)
  t.is(flows.length, 1)
  t.regex(drawFlow(parseFlow(flows[0]!), { format: 'dot' }), /^digraph "readings" \{/)
})

test('what cannot be drawn is refused', (t) => {
  throwsCode(t, () => drawFlow(FLOW), 'ERR_MILLRACE_INVALID_ARGUMENT', 'name must be a name')
  throwsCode(t, () => drawFlow(NAMED, { format: 'png' as 'dot' }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'format', '"png"')
  throwsCode(t, () => drawFlow({ ...NAMED, blocks: [] }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'a list that is not empty')
  t.notThrows(() => drawFlow({ ...NAMED, links: [{ from: 'nobody.out', to: 'read.in' }] }))
})
