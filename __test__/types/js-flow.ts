// What the compiler knows of blocks of JavaScript. Nothing here runs.
import { expectTypeOf } from 'expect-type'
import type { BufferPtr, ShmManager } from '../../index.js'
import type { JsInput, JsOutput, PortType, Report, Run, StandardSchema } from '../../flow.js'
import { buffers, bytes, filter, flow, Gain, map, NullSink, NullSource, sink, source, type } from '../../flow.js'

interface Frame {
  width: number
}
declare const shm: ShmManager
declare const schema: StandardSchema<Frame>

export async function check(): Promise<void> {
  const frame = type<Frame>('json', { name: 'frame' })
  const sound = type<{ rate: number }>('msgpack', { name: 'sound' })
  expectTypeOf(type('json', { schema })).toEqualTypeOf<PortType<Frame>>()

  const f = flow('types', shm, { threads: 2 })
  const camera = f.add(
    source('camera', { out: frame }, async function* ({ signal }) {
      while (!signal.aborted) yield await Promise.resolve({ width: 1 })
    }),
  )
  expectTypeOf(camera.out).toEqualTypeOf<JsOutput<Frame, Frame>>()
  const width = f.add(
    map('width', frame, bytes, (one) => new Uint8Array(one.width), { concurrency: 2, ordered: false }),
  )
  expectTypeOf(width.in).toEqualTypeOf<JsInput<Frame, Frame>>()
  const end = f.add(sink('end', frame, (batch) => void expectTypeOf(batch).toEqualTypeOf<Frame[]>()))
  const moved = f.add(map('moved', buffers, buffers, (value) => value))
  f.add(filter('kept', buffers, (value) => expectTypeOf(value).toEqualTypeOf<BufferPtr>()))

  f.link(camera.out, width.in, { capacity: 4, overflow: 'latest', delivery: 'at-least-once', name: 'frames' })
  f.link(camera.out, end.in)
    .link(width.out, new Gain({ factor: 2 }).in)
    .link(width.out, moved.in)
  f.link(new NullSource({ size: 1 }).out, width.out && moved.in).link(camera.out, new NullSink().in)
  // @ts-expect-error frames are no sound
  f.link(camera.out, f.add(sink('sound', sound, () => {})).in)
  // @ts-expect-error frames are no bytes
  f.link(camera.out, moved.in)
  // @ts-expect-error bytes are no frames
  f.link(new NullSource({ size: 1 }).out, end.in)
  // @ts-expect-error a frame has a width
  source('bad', { out: frame }, () => [{ height: 1 }])
  // @ts-expect-error bytes are what it makes
  map('bad', frame, bytes, (one) => one.width)

  await using run = await f.start()
  expectTypeOf(run).toEqualTypeOf<Run>()
  expectTypeOf(run.done).resolves.toEqualTypeOf<Report>()
}
