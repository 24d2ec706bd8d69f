// A flow, one block of which is in a process of its own and gets stuck at a step, to be killed there.
import { setTimeout } from 'node:timers/promises'
import { type BlockIo, flow, JsBlock, map, sink, source } from '../../flow.js'
import { type Delivery, MillraceError, type ShmManager } from '../../index.js'
import { count, number } from './flow.js'

/** Values that are sent. */
export const COUNT = 100
/** The value that the block gets stuck at. */
export const STUCK_AT = 40
const FOREVER_MS = 2 ** 30

export interface StuckArgs {
  domain: string
  delivery: Delivery
  /** Which block is in a process of its own. */
  block: 'source' | 'map' | 'sink'
  /** Where it gets stuck: never; while it works on a batch, of which nothing has been sent; after it has been sent. */
  at: 'nothing' | 'working' | 'sent'
  /** Puts another block, in another process, before the map. */
  before?: boolean
}

/**
 * The blocks and links. The queues `at`, which hears of the block that is stuck, and `came`, which gets what a sink has got, are the
 * caller's.
 * @param begin resolves when the source may begin
 */
export function stuckFlow(
  shm: ShmManager,
  { delivery, block, at, before = false }: StuckArgs,
  begin?: Promise<unknown>,
) {
  const f = flow('stuck', shm)
  const came = shm.portQueue<number>('came', { codec: 'json' })
  const placeOf = (one: StuckArgs['block']) => (one === block ? { process: 'child' } : {})
  const options = { capacity: 2 * COUNT, delivery }
  const stuckIf = async (step: StuckArgs['at'], values: readonly number[]) => {
    if (step === at && values.includes(STUCK_AT)) await stuck(shm)
  }
  const read = f.add(
    source('read', { out: number }, async function* () {
      await begin
      for (const value of count(COUNT)) {
        if (block === 'source') await stuckIf('working', [value])
        yield value
      }
    }),
    placeOf('source'),
  )
  const work = f.add(
    new Forward('work', (step, values) => (block === 'map' ? stuckIf(step, values) : undefined)),
    placeOf('map'),
  )
  const write = f.add(
    sink('write', number, async (batch) => {
      if (block === 'sink') await stuckIf('working', batch)
      await came.putMany(batch)
      if (block === 'sink') await stuckIf('sent', batch)
    }),
    placeOf('sink'),
  )
  if (before) {
    const first = f.add(
      map('first', number, number, (value) => value),
      { process: 'before' },
    )
    f.link(read.out, first.in, options).link(first.out, work.in, options)
  } else f.link(read.out, work.in, options)
  f.link(work.out, write.in, options)
  return f
}

/** Passes values on. */
class Forward extends JsBlock {
  readonly in = this.takes('in', number)
  readonly out = this.sends('out', number)
  readonly #step: (step: 'working' | 'sent', values: readonly number[]) => Promise<void> | undefined

  constructor(name: string, step: (step: 'working' | 'sent', values: readonly number[]) => Promise<void> | undefined) {
    super(name)
    this.#step = step
  }

  async work(io: BlockIo): Promise<void> {
    for await (const batch of io.take(this.in)) {
      const values = batch.values()
      await this.#step('working', values)
      await io.send(this.out, values)
      await this.#step('sent', values)
    }
  }
}

/** Tells that it is stuck, and is; unless nobody wants to know any more. */
async function stuck(shm: ShmManager): Promise<void> {
  try {
    await shm.portQueue('at').put(new Uint8Array(1))
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'ERR_MILLRACE_CLOSED') return
    throw error
  }
  await setTimeout(FOREVER_MS)
}
