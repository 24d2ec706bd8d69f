// Flows as data that are made at random, and how many messages each of their blocks gets.
import type { BlockData, FlowData, LinkData } from '../../flow.js'
import { randomNumbers } from './random.js'

/** A flow of native blocks without circles, and the messages that come to each of its sinks. */
export interface RandomFlow {
  data: FlowData
  expected: Map<string, number>
}

/** An output that nothing has been linked to, and the messages that it sends. */
interface Loose {
  port: string
  messages: number
}

const PASSING: BlockData[] = [
  { name: 'copy', class: 'Copy' },
  { name: 'gain', class: 'Gain', settings: { factor: 0.5, format: 'i16' }, onError: 'skip' },
  { name: 'throttle', class: 'Throttle', settings: { rate: 1e9, burst: 1000 }, priority: 'high' },
]

/** The same for the same seed. */
export function randomFlow(seed: number): RandomFlow {
  const random = randomNumbers(seed)
  const blocks: BlockData[] = []
  const links: LinkData[] = []
  const expected = new Map<string, number>()
  const loose: Loose[] = []
  const add = (block: BlockData) => {
    // Names are free: some look like numbers, ports, or words of YAML.
    const name = [
      `${block.name}${blocks.length}`,
      `${blocks.length}`,
      `a.b ${blocks.length}: #`,
      `no ${blocks.length}`,
    ][random(4)]!
    blocks.push({ ...block, name })
    return name
  }
  const link = (from: Loose, to: string) => {
    const options: Partial<LinkData> = random(2) === 0 ? {} : { capacity: 2 ** random(8) }
    links.push({ from: from.port, to, ...options, ...(random(4) === 0 && { delivery: 'at-least-once' }) })
  }
  const take = () => loose.splice(random(loose.length), 1)[0]!
  for (let sources = 1 + random(3); sources > 0; sources--) {
    const messages = 1 + random(200)
    const name = add({ name: 'source', class: 'NullSource', settings: { size: 2 * random(2500), count: messages } })
    loose.push({ port: `${name}.out`, messages })
  }
  for (let steps = random(8); steps > 0; steps--) {
    const kind = random(4)
    const one = take()
    if (kind === 0) {
      const outputs = 1 + random(3)
      const name = add({ name: 'split', class: 'Split', settings: { outputs } })
      link(one, `${name}.in`)
      const messages = (at: number) => Math.floor((one.messages + outputs - 1 - at) / outputs)
      loose.push(...Array.from({ length: outputs }, (_, at) => ({ port: `${name}.out${at}`, messages: messages(at) })))
    } else if (kind === 1 && loose.length > 0) {
      const other = take()
      const name = add({ name: 'merge', class: 'Merge' })
      link(one, `${name}.in0`)
      link(other, `${name}.in1`)
      loose.push({ port: `${name}.out`, messages: one.messages + other.messages })
    } else {
      const name = add(PASSING[random(PASSING.length)]!)
      link(one, `${name}.in`)
      // Sometimes linked twice: each gets everything.
      loose.push(...Array.from({ length: 1 + random(2) }, () => ({ port: `${name}.out`, messages: one.messages })))
    }
  }
  for (const one of loose) {
    const name = add({ name: 'sink', class: 'NullSink' })
    expected.set(name, one.messages)
    link(one, `${name}.in`)
  }
  const scheduler = random(2) === 0 ? {} : { scheduler: { threads: 1 + random(3) } }
  return { data: { millrace: 1, name: `random${seed}`, ...scheduler, blocks, links }, expected }
}
