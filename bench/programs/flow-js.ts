// Small objects go from a source through two steps to a sink, all on one event loop.
import { Readable, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { buffers, flow, map, objects, sink, source, type, type PortType, type Yielded } from '../../flow.js'
import { ShmManager } from '../../index.js'
import { jobOf, serve } from '../lib/control.js'

interface Item {
  readonly id: number
  readonly value: number
}

const { directory, how } = jobOf<{ directory: string; how: string }>()
const shm = ShmManager.open('flow-js', { directory, maxBytes: 2 ** 30 })
/** From the source to the first step, from that to the second, from that to the sink. */
const HOPS = 3
let seen = 0

function* items(count: number): Generator<Item> {
  for (let id = 0; id < count; id++) yield { id, value: id }
}

const next = ({ id, value }: Item): Item => ({ id, value: value + 1 })

async function millrace<T, V>(of: PortType<T, V>, from: () => Yielded<V>, step: (value: V) => V): Promise<void> {
  const f = flow('steps', shm)
  const first = f.add(source('source', { out: of }, from))
  const one = f.add(map('one', of, of, step))
  const two = f.add(map('two', of, of, step))
  const end = f.add(sink('sink', of, (batch) => void (seen += batch.length)))
  f.link(first.out, one.in).link(one.out, two.in).link(two.out, end.in)
  await (
    await f.start()
  ).done
}

function transform(): Transform {
  return new Transform({
    objectMode: true,
    transform(item: Item, _, done) {
      done(null, next(item))
    },
  })
}

async function* generated(from: AsyncIterable<Item> | Iterable<Item>): AsyncGenerator<Item> {
  for await (const item of from) yield next(item)
}

const WAYS: Record<string, (count: number) => Promise<void>> = {
  'Millrace, objects': (count) => millrace(objects<Item>(), () => items(count), next),
  'Millrace, json': (count) => millrace(type<Item>('json'), () => items(count), next),
  'Millrace, buffers'(count) {
    const allocated = function* () {
      for (let i = 0; i < count; i++) yield shm.allocate(16)
    }
    return millrace(buffers, allocated, (buffer) => buffer)
  },
  async 'node:stream, objectMode'(count) {
    const values = items(count)
    const from = new Readable({
      objectMode: true,
      read() {
        for (;;) {
          const { value, done } = values.next()
          if (!this.push(done === true ? null : value) || done === true) return
        }
      },
    })
    const end = new Writable({
      objectMode: true,
      write(_, __, done) {
        seen++
        done()
      },
    })
    await pipeline(from, transform(), transform(), end)
  },
  async 'async generators'(count) {
    for await (const _ of generated(generated(items(count)))) seen++
  },
}

serve({ run }, () => shm.close())

/** ns for one object and hop. */
async function run(count: number): Promise<number> {
  const started = performance.now()
  seen = 0
  await WAYS[how]!(count)
  if (seen !== count) throw new Error(`${seen} objects of ${count} have arrived`)
  return ((performance.now() - started) * 1e6) / (count * HOPS)
}
