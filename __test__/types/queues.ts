// What the compiler knows of queues. Nothing here runs: `npm run types` checks it, and so does every build.
import type { ReadableStream, WritableStream } from 'node:stream/web'
import { expectTypeOf } from 'expect-type'
import type {
  Batch,
  BufferPtr,
  Codec,
  JsonOf,
  PortQueue,
  QueueOptions,
  Service,
  ShmManager,
  Topic,
} from '../../index.js'

interface Frame {
  at: Date
  pixels: Float32Array
}
declare const shm: ShmManager
declare const frameCodec: Codec<Frame>
declare const options: QueueOptions<Frame>

// What a queue carries follows from its codec.
expectTypeOf(shm.portQueue('raw')).toEqualTypeOf<PortQueue>()
expectTypeOf(shm.portQueue('raw', { capacity: 4 })).toEqualTypeOf<PortQueue>()
expectTypeOf(shm.portQueue('raw', { codec: 'bytes' })).toEqualTypeOf<PortQueue>()
expectTypeOf(shm.portQueue('any', { codec: 'json' })).toEqualTypeOf<PortQueue<unknown>>()
expectTypeOf(shm.portQueue('any', { codec: 'v8' })).toEqualTypeOf<PortQueue<unknown>>()
expectTypeOf(shm.portQueue('any', { codec: 'msgpack' })).toEqualTypeOf<PortQueue<unknown>>()
expectTypeOf(shm.portQueue('frames', { codec: frameCodec })).toEqualTypeOf<PortQueue<Frame>>()

// Or it is said.
expectTypeOf(shm.portQueue<Frame>('frames')).toEqualTypeOf<PortQueue<Frame>>()
expectTypeOf(shm.portQueue<Frame>('frames', { codec: 'v8' })).toEqualTypeOf<PortQueue<Frame>>()
expectTypeOf(shm.portQueue<Frame>('frames', { codec: frameCodec })).toEqualTypeOf<PortQueue<Frame>>()
// @ts-expect-error a codec for frames carries no text
shm.portQueue<string>('frames', { codec: frameCodec })
// @ts-expect-error bytes are no frames
shm.portQueue<Frame>('frames', { codec: 'bytes' })
// @ts-expect-error values that are no bytes need a codec
shm.portQueue<Frame>('frames', { capacity: 5 })
// @ts-expect-error there may be none among the options
shm.portQueue('frames', options)
expectTypeOf(shm.portQueue('frames', { ...options, codec: frameCodec })).toEqualTypeOf<PortQueue<Frame>>()
// @ts-expect-error the same of topics
shm.topic<Frame>('frames', { history: 5 })
// @ts-expect-error there is no such option
shm.portQueue('frames', { capasity: 5 })
// @ts-expect-error there is no such codec
shm.portQueue('frames', { codec: 'yaml' })

// JSON carries what it brings back as it was.
interface Tree {
  name: string
  size?: number
  kind: 'leaf' | 'fork' | null
  children: readonly Tree[]
}
class Named {
  constructor(readonly name: string) {}
  shout(): string {
    return this.name.toUpperCase()
  }
}
expectTypeOf(shm.portQueue<Tree>('trees', { codec: 'json' })).toEqualTypeOf<PortQueue<Tree>>()
expectTypeOf(shm.topic<Record<string, unknown>>('any', { codec: 'json' })).toEqualTypeOf<
  Topic<Record<string, unknown>>
>()
expectTypeOf<JsonOf<Tree>>().toEqualTypeOf<Tree>()
expectTypeOf<JsonOf<[number, string]>>().toEqualTypeOf<[number, string]>()
// @ts-expect-error a date comes back as a text
shm.portQueue<Frame>('frames', { codec: 'json' })
// @ts-expect-error a map comes back empty
shm.portQueue<{ of: Map<string, number> }>('maps', { codec: 'json' })
// @ts-expect-error a bigint is refused
shm.portQueue<{ n: bigint }>('bigints', { codec: 'json' })
// @ts-expect-error bytes come back as an object of numbers
shm.portQueue<{ bytes: Uint8Array }>('bytes', { codec: 'json' })
// @ts-expect-error an instance comes back without its methods
shm.topic<Named>('named', { codec: 'json' })
expectTypeOf(shm.portQueue<{ of: Map<string, number> }>('maps', { codec: 'v8' })).toExtend<PortQueue<{ of: unknown }>>()

// Services need a codec for either direction; one alone carries both.
expectTypeOf(shm.service('frames')).toEqualTypeOf<Service>()
expectTypeOf(shm.service('frames', { inFlight: 4 })).toEqualTypeOf<Service>()
expectTypeOf(shm.service('any', { codec: 'json' })).toEqualTypeOf<Service<unknown, unknown>>()
expectTypeOf(shm.service('frames', { codec: frameCodec })).toEqualTypeOf<Service<Frame, Frame>>()
expectTypeOf(shm.service<Tree, number>('count', { codec: 'json' })).toEqualTypeOf<Service<Tree, number>>()
expectTypeOf(shm.service<Frame, number>('count', { codec: frameCodec, replyCodec: 'json' })).toEqualTypeOf<
  Service<Frame, number>
>()
// @ts-expect-error frames are no buffers
shm.service<Frame, number>('count', {})
// @ts-expect-error JSON carries no frames
shm.service<Frame, number>('count', { codec: 'json' })
// @ts-expect-error nor as replies
shm.service<number, Frame>('count', { codec: 'json' })
// @ts-expect-error the codec of requests carries replies, too, if there is no other
shm.service<Frame, number>('count', { codec: frameCodec })

// Values go in and come out as what they are.
const frames = shm.portQueue('frames', { codec: frameCodec })
expectTypeOf<Parameters<typeof frames.put>[0]>().toEqualTypeOf<Frame>()
expectTypeOf<Parameters<typeof frames.tryPut>[0]>().toEqualTypeOf<Frame>()
expectTypeOf<Parameters<typeof frames.putMany>[0]>().toEqualTypeOf<readonly Frame[]>()
expectTypeOf(frames.get()).resolves.toEqualTypeOf<Frame>()
expectTypeOf(frames.tryGet()).toEqualTypeOf<Frame | undefined>()
expectTypeOf(frames.getMany(1)).toEqualTypeOf<Frame[]>()
// @ts-expect-error a frame has pixels
void frames.put({ at: new Date() })

expectTypeOf(frames.values()).toEqualTypeOf<AsyncIterableIterator<Frame, undefined>>()
expectTypeOf<Parameters<typeof frames.putFrom>[0]>().toEqualTypeOf<Iterable<Frame> | AsyncIterable<Frame>>()
expectTypeOf(frames.toWeb().readable).toEqualTypeOf<ReadableStream<Frame>>()
expectTypeOf(frames.toWeb().writable).toEqualTypeOf<WritableStream<Frame>>()
// @ts-expect-error numbers are no frames
void frames.putFrom([1, 2])

// Messages are buffers whatever the codec.
expectTypeOf(frames.receive()).resolves.toEqualTypeOf<BufferPtr>()
expectTypeOf(frames.tryReceive()).toEqualTypeOf<BufferPtr | null>()
expectTypeOf(frames.receiveMany(1)).toEqualTypeOf<BufferPtr[]>()
expectTypeOf(frames.batches()).toEqualTypeOf<AsyncIterableIterator<Batch, undefined>>()
expectTypeOf(frames[Symbol.asyncIterator]()).toEqualTypeOf<AsyncIterableIterator<BufferPtr, undefined>>()

declare const message: BufferPtr
expectTypeOf(message.as(Float32Array)).toExtend<Float32Array>()
expectTypeOf(message.as(BigInt64Array)).toExtend<BigInt64Array>()
expectTypeOf(message.json()).toEqualTypeOf<unknown>()
expectTypeOf(message.json<Frame>()).toEqualTypeOf<Frame>()
expectTypeOf(message.copy()).toEqualTypeOf<Uint8Array<ArrayBuffer>>()
expectTypeOf(message).toExtend<Disposable>()
expectTypeOf(shm).toExtend<Disposable>()
