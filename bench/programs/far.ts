// The other side of a pair: receives what is streamed, or echoes it.
import { jobOf, parent, serve } from '../lib/control.js'
import type { Latency } from '../lib/result.js'
import { Arrivals, Counter, type Work } from '../lib/work.js'
import { transportOf } from '../peers/index.js'
import type { End } from '../peers/transport.js'

const { name, folder, work } = jobOf<{ name: string; folder: string; work: Work }>()
const counter = new Counter(work.bytes)
const arrivals = work.kind === 'schedule' ? new Arrivals(work) : undefined
const copy = new Uint8Array(work.kind === 'stream' && work.readAll === true ? work.bytes : 0)
let end: End | undefined

serve({ open, reached: (total: number) => counter.reached(total), arrivals: takeArrivals }, () => end?.close())

async function open(): Promise<void> {
  end = await transportOf(name).far({ folder, bytes: work.bytes, channel: parent })
  end.receive(handler(end))
}

function handler(opened: End): (message: Uint8Array) => void {
  if (work.kind === 'stream') return work.readAll === true ? copyOut : counter.see
  if (work.kind === 'round-trip') {
    return (message) => {
      void opened.send(message)
      void opened.flush?.()
    }
  }
  return (message) => {
    arrivals!.see(message)
    counter.tick()
  }
}

function copyOut(message: Uint8Array): void {
  copy.set(message)
  counter.see(message)
}

/** Latencies since the last call, once `total` messages have come in all. */
async function takeArrivals(total: number): Promise<Latency> {
  await counter.reached(total)
  return arrivals!.take()
}
