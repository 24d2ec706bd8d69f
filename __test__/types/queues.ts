// What the compiler knows of queues. Nothing here runs: `npm run types` checks it, and so does every build.
import type { ReadableStream, WritableStream } from 'node:stream/web'
import { expectTypeOf } from 'expect-type'
import type { Batch, BufferPtr, Codec, PortQueue, QueueOptions, ShmManager } from '../../index.js'

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
expectTypeOf(shm.portQueue('frames', options)).toEqualTypeOf<PortQueue<Frame>>()

// Or it is said.
expectTypeOf(shm.portQueue<Frame>('frames')).toEqualTypeOf<PortQueue<Frame>>()
expectTypeOf(shm.portQueue<Frame>('frames', { codec: 'v8' })).toEqualTypeOf<PortQueue<Frame>>()
expectTypeOf(shm.portQueue<Frame>('frames', { codec: frameCodec })).toEqualTypeOf<PortQueue<Frame>>()
// @ts-expect-error a codec for frames carries no text
shm.portQueue<string>('frames', { codec: frameCodec })
// @ts-expect-error bytes are no frames
shm.portQueue<Frame>('frames', { codec: 'bytes' })
// @ts-expect-error there is no such codec
shm.portQueue('frames', { codec: 'yaml' })

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
