// What the compiler knows of flows. Nothing here runs.
import { expectTypeOf } from 'expect-type'
import type { PortQueue, ShmManager } from '../../index.js'
import type { BlockStats, InputPort, OutputPort, Report } from '../../flow.js'
import { NullSink, NullSource, Scheduler } from '../../flow.js'

interface Frame {
  width: number
}
interface Sound {
  rate: number
}
declare const shm: ShmManager
declare const frames: OutputPort<Frame>
declare const frameSink: InputPort<Frame>
declare const soundSink: InputPort<Sound>
declare const anySink: InputPort
declare const bytes: PortQueue
declare const frameQueue: PortQueue<Frame>
declare const soundQueue: PortQueue<Sound>

export async function check(): Promise<void> {
  const scheduler = new Scheduler(shm, { threads: 2, policy: 'pinned' })
  const source = scheduler.add(new NullSource({ size: '1KiB', count: 1 }), { name: 'source', priority: 'high' })
  expectTypeOf(source).toEqualTypeOf<NullSource>()
  expectTypeOf(source.out).toEqualTypeOf<OutputPort<Uint8Array>>()
  const sink = scheduler.add(new NullSink(), { onError: { retries: 3, backoff: 10, deadLetters: frameQueue } })
  expectTypeOf(sink.in).toEqualTypeOf<InputPort>()
  expectTypeOf(sink.stats()).toEqualTypeOf<BlockStats>()
  expectTypeOf(await scheduler.run()).toEqualTypeOf<Report>()
  expectTypeOf(await scheduler.drain({ timeout: 1 })).toEqualTypeOf<Report>()

  scheduler.link(source.out, sink.in, { capacity: 4, overflow: 'drop-oldest', delivery: 'at-least-once' })
  scheduler.link(frames, frameSink).link(frames, anySink)
  // @ts-expect-error frames are no sound
  scheduler.link(frames, soundSink)
  // @ts-expect-error bytes are no frames
  scheduler.link(source.out, frameSink)
  // @ts-expect-error from an input to an output
  scheduler.link(sink.in, source.out)
  // @ts-expect-error a block is no port
  scheduler.link(source, sink)

  source.out.connect(bytes)
  sink.in.connect(bytes)
  sink.in.connect(frameQueue)
  frames.connect(frameQueue)
  frameSink.connect(frameQueue)
  // @ts-expect-error a queue of sound
  frames.connect(soundQueue)
  // @ts-expect-error a queue of sound
  frameSink.connect(soundQueue)

  // @ts-expect-error no such policy
  expectTypeOf(new Scheduler(shm, { policy: 'fair' }))
  // @ts-expect-error no such action
  scheduler.add(new NullSink(), { onError: 'retry' })
  // @ts-expect-error no number
  expectTypeOf(new NullSource({ size: 1, count: '1' }))
}
