// What `npm run leaks` repeats: every public call, and the ways in which it fails.
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NullSink, NullSource, Scheduler } from '../../flow.js'
import type { ErrorCode, ManagerEvents } from '../../index.js'
import { fromFile, fromSocket, MillraceError, readInto, SageQueue, ShmManager, ShmObserver } from '../../index.js'

/** One thing to do again and again. */
export interface LeakCase {
  name: string
  /** How many times dearer a round is than the cheapest. */
  cost: number
  /** Whose domain it is done in. */
  shm: ShmManager
  readonly round: (index: number) => unknown
}

type Rounds = Record<string, LeakCase['round']>

const nothing = () => {}
const giveUp = () => {
  throw new RangeError('enough')
}
const bytes = new Uint8Array(100)
const big = new Uint8Array(1 << 20)

/** `operation` fails with that code. */
async function fails(code: ErrorCode, operation: () => unknown): Promise<void> {
  try {
    await operation()
  } catch (error) {
    if (error instanceof MillraceError && error.code === code) return
    throw error
  }
  throw new Error(`nothing failed with ${code}`)
}

/** `operation` fails with what is not ours. */
async function throws(operation: () => unknown): Promise<void> {
  try {
    await operation()
  } catch (error) {
    if (!(error instanceof MillraceError)) return
    throw error
  }
  throw new Error('nothing was thrown')
}

/** Every case, one after the other: each has its turn before the next is set up. */
export async function* cases(): AsyncGenerator<LeakCase> {
  for (const [set, cost] of [
    [buffers, 1],
    [values, 1],
    [waits, 2],
    [loops, 4],
    [topics, 4],
    [services, 4],
    [sages, 4],
    [queuesThatEnd, 20],
    [managers, 200],
    [flows, 200],
    [files, 20],
    [sockets, 40],
  ] as const) {
    using shm = ShmManager.open(`leaks-${process.pid}`, { maxBytes: '16MiB' })
    const { rounds, end } = await set(shm)
    for (const [name, round] of Object.entries(rounds)) yield { name: `${set.name}: ${name}`, cost, shm, round }
    await end()
  }
}

/** Several: on Bun a listener takes the longer to add the more there are of its event. */
const EVENTS = [
  'participant-joined',
  'participant-left',
  'participant-lost',
  'participant-stalled',
  'participant-resumed',
  'publisher-blocked',
] as const satisfies (keyof ManagerEvents)[]

/** Every way to leak that is looked for. */
export async function* leakingCases(): AsyncGenerator<LeakCase> {
  const kept: unknown[] = []
  using shm = ShmManager.open(`leaks-${process.pid}`)
  const rounds: Rounds = {
    heap: (index) => kept.push({ index }),
    buffers: () => kept.push(shm.allocate(100)),
    descriptors: () => kept.push(openSync('/dev/null', 'r')),
    listeners: (index) => shm.on(EVENTS[index % EVENTS.length]!, () => kept.push(0)),
    'waits and participants': () => {
      const other = ShmManager.open(shm.domain)
      kept.push(other, other.portQueue('queue').get().catch(nothing))
    },
  }
  const costs: Record<string, number> = { heap: 1, listeners: 1, 'waits and participants': 500 }
  shm.setMaxListeners(0)
  for (const [name, round] of Object.entries(rounds)) {
    yield { name, cost: costs[name] ?? 100, shm, round }
  }
  for (const one of kept) if (one instanceof ShmManager) one.close()
}

interface Set {
  rounds: Rounds
  readonly end: () => unknown
}

function buffers(shm: ShmManager): Set {
  const rounds: Rounds = {
    'allocate, release': () => shm.allocate(100).release(),
    'allocateMany, release': () => shm.allocateMany(100, 10).forEach((buffer) => buffer.release()),
    'allocateManyAsync, release': async () =>
      (await shm.allocateManyAsync(100, 10)).forEach((buffer) => buffer.release()),
    'share, copy, text, json, as'() {
      using buffer = shm.allocate(8)
      buffer.bytes.fill(0x20).set([0x31])
      using shared = buffer.share()
      return [shared.copy(), buffer.text(), buffer.json(), buffer.as(Uint32Array)]
    },
    metadata() {
      using buffer = shm.allocate(8)
      buffer.timestamp = 1n
      buffer.sequence = 2n
      buffer.tag = 3n
      buffer.typeId = 4
      buffer.source = 5
      return [buffer.timestamp, buffer.sequence, buffer.tag, buffer.timestampKind, buffer.redelivered]
    },
    allocateAsync: async () => (await shm.allocateAsync(100)).release(),
    'a size that is none': () => fails('ERR_MILLRACE_INVALID_ARGUMENT', () => shm.allocate(-1)),
    'a size that no domain has': () => fails('ERR_MILLRACE_TOO_LARGE', () => shm.allocate(2 ** 40)),
    'a buffer that is gone'() {
      const buffer = shm.allocate(8)
      buffer.release()
      return fails('ERR_MILLRACE_RELEASED', () => buffer.bytes)
    },
  }
  return { rounds, end: nothing }
}

function values(shm: ShmManager): Set {
  const queue = shm.portQueue('bytes', { capacity: 64 })
  const json = shm.portQueue('json', { capacity: 64, codec: 'json', delivery: 'at-least-once' })
  const msgpack = shm.portQueue('msgpack', { capacity: 64, codec: 'msgpack' })
  const v8 = shm.portQueue('v8', { capacity: 64, codec: 'v8' })
  const broken = shm.portQueue<unknown>('broken', {
    capacity: 64,
    codec: {
      encode: () => bytes,
      decode: () => {
        throw new RangeError('broken')
      },
    },
  })
  const value = { text: 'a value', list: [1, 2, 3] }
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  const rounds: Rounds = {
    'put, get': async (index) => (await queue.put(bytes)) ?? (await queue.get({ timeout: index + 1 })),
    'put, get, large': async () => (await queue.put(big)) ?? (await queue.get()),
    'tryPut, tryGet': () => queue.tryPut(bytes) && queue.tryGet(),
    'putMany, getMany': async () => (await queue.putMany([bytes, bytes, bytes])) ?? queue.getMany(10),
    'send, receive': async () => (await queue.send(shm.allocate(10))) ?? (await queue.receive()).release(),
    'sendMany, receiveMany': () =>
      queue.sendMany(shm.allocateMany(10, 3)) && queue.receiveMany(10).forEach((message) => message.release()),
    'peek, info, depth, stats'() {
      queue.tryPut(bytes)
      queue.peek()!.release()
      queue.tryGet()
      return [queue.info, queue.depth, shm.stats()]
    },
    'json, leased': async () => (await json.put(value)) ?? (await json.get()),
    nack: async () => {
      await json.put(value)
      const message = await json.receive()
      message.nack()
      return await json.get()
    },
    msgpack: async () => (await msgpack.put(value)) ?? (await msgpack.get()),
    v8: async () => (await v8.put(value)) ?? (await v8.get()),
    'a value that cannot be encoded': () => throws(() => json.put(circle)),
    'a value that cannot be decoded': () =>
      fails('ERR_MILLRACE_DECODE', async () => (await broken.put(0)) ?? (await broken.get())),
    'a value that is none': () => fails('ERR_MILLRACE_INVALID_ARGUMENT', () => queue.put('text' as never)),
    'options that are none': () =>
      fails('ERR_MILLRACE_INVALID_ARGUMENT', () => shm.portQueue('bytes', { capacity: 0.5 })),
    'options that differ': () => fails('ERR_MILLRACE_OPTIONS_MISMATCH', () => shm.portQueue('bytes', { capacity: 2 })),
    'one buffer twice'() {
      using buffer = shm.allocate(8)
      return fails('ERR_MILLRACE_INVALID_ARGUMENT', () => queue.sendMany([buffer, buffer]))
    },
  }
  return { rounds, end: nothing }
}

function waits(shm: ShmManager): Set {
  const queue = shm.portQueue('empty', {})
  const full = shm.portQueue('full', { capacity: 1 })
  const changing = shm.portQueue('changing', { capacity: 2 })
  full.tryPut(bytes)
  const { signal } = new AbortController()
  const rounds: Rounds = {
    'get that is served': async () => {
      const waiting = queue.get({ signal })
      await queue.put(bytes)
      return await waiting
    },
    'get that is aborted': async () => {
      const ending = new AbortController()
      const waiting = queue.get({ signal: ending.signal })
      ending.abort(new RangeError('enough'))
      return await throws(() => waiting)
    },
    'get that times out': () => fails('ERR_MILLRACE_TIMEOUT', () => queue.get({ timeout: 0 })),
    'put that times out': () => fails('ERR_MILLRACE_TIMEOUT', () => full.put(bytes, { timeout: 0 })),
    'send that times out': async () => {
      using buffer = shm.allocate(8)
      await fails('ERR_MILLRACE_TIMEOUT', () => full.send(buffer, { timeout: 0 }))
    },
    'a queue that nobody creates': () =>
      fails('ERR_MILLRACE_TIMEOUT', () => shm.portQueue('never').get({ timeout: 0 })),
    'a queue that is resized': () => {
      for (const capacity of [64, 2]) changing.resize(capacity)
      changing.tryPut(bytes)
      changing.tryGet()
    },
    'allocateAsync that is aborted': async () => {
      const held = []
      for (let one = shm.allocator.tryAllocate(1 << 20); one !== null; one = shm.allocator.tryAllocate(1 << 20))
        held.push(one)
      await fails('ERR_MILLRACE_TIMEOUT', () => shm.allocateAsync(1 << 20, { timeout: 0 }))
      await fails('ERR_MILLRACE_EXHAUSTED', () => shm.allocate(1 << 20))
      for (const buffer of held) buffer.release()
    },
  }
  return { rounds, end: nothing }
}

function loops(shm: ShmManager): Set {
  const queue = shm.portQueue('queue', { capacity: 64 })
  const rounds: Rounds = {
    'for await, left': async () => {
      await queue.putMany([bytes, bytes])
      for await (const _ of queue) break
      for await (const _ of queue.values()) break
    },
    'batches, left': async () => {
      await queue.put(bytes)
      for await (const _ of queue.batches({ timeout: 1000 })) break
    },
    'an iterator that is left while it waits': async () => {
      const iterator = queue[Symbol.asyncIterator]()
      const waiting = iterator.next()
      await iterator.return!()
      return await waiting
    },
    'consume, aborted': async () => {
      const ending = new AbortController()
      await queue.put(bytes)
      await queue.consume(() => ending.abort(), { signal: ending.signal })
    },
    'consume, thrown': async () => {
      await queue.put(bytes)
      await throws(() => queue.consume(giveUp))
    },
    'streams, destroyed': async () => {
      const [readable, writable] = [queue.readable(), queue.writable()]
      readable.read()
      await Promise.all([once(readable.destroy(), 'close'), once(writable.destroy(), 'close')])
    },
    putFrom: () => queue.putFrom([bytes]).then(() => queue.tryGet()),
  }
  return { rounds, end: nothing }
}

function topics(shm: ShmManager): Set {
  const topic = shm.topic('topic', { history: 4 })
  const kept = topic.subscribe({ name: 'kept', capacity: 4, overflow: 'drop-oldest' })
  const rounds: Rounds = {
    'subscribe, put, get, close': async () => {
      using subscription = topic.subscribe({ capacity: 16 })
      await topic.put(bytes)
      await subscription.get()
    },
    publish: () => topic.publish(shm.allocate(10)).then(() => kept.tryReceive()?.release()),
    'tryPublish, publishMany': async () =>
      topic.tryPublish(shm.allocate(10)) && (await topic.publishMany(shm.allocateMany(10, 3))),
    'a subscription that waits and is closed': async () => {
      const subscription = topic.subscribe()
      while (subscription.tryGet() !== undefined);
      const waiting = subscription.get()
      subscription.close()
      await fails('ERR_MILLRACE_CLOSED', () => waiting)
    },
    'options that differ': () =>
      fails('ERR_MILLRACE_OPTIONS_MISMATCH', () => topic.subscribe({ name: 'kept', capacity: 64 })),
    info: () => topic.info,
  }
  return { rounds, end: () => topic.destroy() }
}

async function services(shm: ShmManager): Promise<Set> {
  const other = ShmManager.open(shm.domain)
  const server = other.service<number, number>('service', { codec: 'json' })
  const client = shm.service<number, number>('service', { codec: 'json' })
  const serving = server.serve((what, { signal }) => {
    if (what === 0) throw new RangeError('zero')
    if (what < 0) return once(signal, 'abort').then(() => 0)
    return what < 1000 ? what * 2 : numbers(what)
  })
  await client.request(1)
  const rounds: Rounds = {
    request: () => client.request(7),
    'a handler that throws': () => throws(() => client.request(0)),
    'a request that is aborted': async () => {
      const ending = new AbortController()
      const waiting = client.request(-1, { signal: ending.signal })
      ending.abort(new RangeError('enough'))
      await throws(() => waiting)
    },
    'a request that times out': () => fails('ERR_MILLRACE_TIMEOUT', () => client.request(-1, { timeout: 1 })),
    'a stream, read': async () => {
      for await (const _ of client.stream(1010));
    },
    'a stream, left': async () => {
      for await (const _ of client.stream(1010)) break
    },
    stats: () => [client.stats(), server.stats()],
  }
  const end = async () => {
    server.close()
    await serving
    client.close()
    other.close()
  }
  return { rounds, end }
}

function* numbers(end: number): Generator<number> {
  for (let i = 1000; i < end; i++) yield i
}

function sages(shm: ShmManager): Set {
  const queue = new SageQueue<object>('queue', { domain: shm.domain, maxsize: 4 })
  const value = { text: 'a value' }
  const rounds: Rounds = {
    'put, get, taskDone': async () => {
      await queue.put(value)
      queue.taskDone(await queue.get())
    },
    'putNowait, getNowait, giveBack': () => {
      queue.putNowait(value)
      queue.giveBack(queue.getNowait())
      queue.taskDone(queue.getNowait())
    },
    'get that is served, with a timeout': async () => {
      const waiting = queue.get({ timeout: 10 })
      await queue.put(value)
      queue.taskDone(await waiting)
    },
    'get that times out': () => fails('ERR_MILLRACE_EMPTY', () => queue.get({ timeout: 0 })),
    'put that times out': async () => {
      for (let i = 0; i < 4; i++) queue.putNowait(value)
      await fails('ERR_MILLRACE_FULL', () => queue.put(value, { timeout: 0 }))
      for (let i = 0; i < 4; i++) queue.taskDone(queue.getNowait())
    },
    join: () => queue.join(),
    'qsize, empty, full, getStats': () => [queue.qsize(), queue.empty(), queue.full(), queue.getStats()],
    'another end': () => new SageQueue('queue', { domain: shm.domain }).close(),
  }
  return { rounds, end: () => queue.destroy() }
}

function queuesThatEnd(shm: ShmManager): Set {
  const rounds: Rounds = {
    'create, destroy': async () => {
      const queue = shm.portQueue('queue', { capacity: 16 })
      const waiting = queue.get()
      queue.destroy()
      await fails('ERR_MILLRACE_DESTROYED', () => waiting)
    },
    'create, close, drain': async () => {
      const queue = shm.portQueue('queue', { capacity: 16 })
      await queue.put(bytes)
      queue.close()
      await fails('ERR_MILLRACE_CLOSED', () => queue.put(bytes))
      await queue.get()
      await fails('ERR_MILLRACE_CLOSED', () => queue.get())
      queue.destroy()
    },
    'a topic': () => {
      const topic = shm.topic('topic', { history: 4 })
      topic.subscribe()
      topic.tryPut(bytes)
      topic.destroy()
    },
    'a service': () => shm.service('service').close(),
    'snapshot, stats': () => [shm.registry.snapshot(), shm.stats(), shm.allocator.pools()],
  }
  return { rounds, end: nothing }
}

function managers(shm: ShmManager): Set {
  const { domain } = shm
  const rounds: Rounds = {
    'open, close': async () => {
      const other = ShmManager.open(domain)
      const queue = other.portQueue('queue', {})
      other.allocate(100)
      const waiting = queue.get()
      other.close()
      await fails('ERR_MILLRACE_CLOSED', () => waiting)
    },
    'open, listen, close': () => {
      using other = ShmManager.open(domain)
      other.on('participant-lost', nothing)
    },
    'a domain of its own': () => ShmManager.open(`${domain}-other`).close(),
    'options that are none': () =>
      fails('ERR_MILLRACE_INVALID_ARGUMENT', () => ShmManager.open(domain, { maxBytes: 'much' })),
    'a name that is none': () => fails('ERR_MILLRACE_INVALID_NAME', () => ShmManager.open('/')),
    observe: () => {
      const observer = ShmObserver.open(domain)
      observer.snapshot()
      observer.stalled()
      observer.dead()
      observer.close()
    },
    'list all domains': () => void ShmObserver.list(),
    'remove a domain that is in use': () => ShmObserver.remove(domain),
    'observe nothing': () => fails('ERR_MILLRACE_NOT_FOUND', () => ShmObserver.open(`${domain}-never`)),
    fsck: () => shm.fsck(),
    'evict nobody': () => fails('ERR_MILLRACE_NOT_FOUND', () => shm.evict({ slot: 100, epoch: 7 })),
  }
  return { rounds, end: nothing }
}

function flows(shm: ShmManager): Set {
  const queue = shm.portQueue('queue', { capacity: 16 })
  const tap = (count?: number) => {
    const scheduler = new Scheduler(shm, { threads: 2 })
    const source = scheduler.add(new NullSource({ size: 100, ...(count !== undefined && { count }) }))
    return { scheduler, source }
  }
  const rounds: Rounds = {
    'run to the end': async () => {
      const { scheduler, source } = tap(10)
      const sink = scheduler.add(new NullSink())
      scheduler.link(source.out, sink.in)
      await scheduler.run()
      return sink.stats()
    },
    'run, drain': async () => {
      const { scheduler, source } = tap()
      scheduler.link(source.out, scheduler.add(new NullSink()).in)
      const ended = scheduler.run()
      scheduler.stats()
      await scheduler.drain()
      await ended
    },
    'run, pause, stop': async () => {
      const { scheduler, source } = tap()
      source.out.connect(queue)
      const ended = scheduler.run()
      scheduler.pause()
      await scheduler.stop()
      await ended
      for (const message of queue.receiveMany(16)) message.release()
    },
    'a block that fails': async () => {
      const scheduler = new Scheduler(shm)
      scheduler.add(new NullSource({ size: '1GiB' })).out.connect(queue)
      await fails('ERR_MILLRACE_TOO_LARGE', () => scheduler.run())
    },
    'a port that is linked to nothing': () => fails('ERR_MILLRACE_INVALID_ARGUMENT', () => tap().scheduler.run()),
    'a manager that is closed': async () => {
      const other = ShmManager.open(shm.domain)
      const scheduler = new Scheduler(other)
      scheduler.add(new NullSink()).in.connect(other.portQueue('queue'))
      const ended = scheduler.run()
      other.close()
      await fails('ERR_MILLRACE_CLOSED', () => ended)
    },
  }
  return { rounds, end: () => queue.destroy() }
}

async function files(shm: ShmManager): Promise<Set> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-leaks-'))
  const path = join(folder, 'file')
  writeFileSync(path, Buffer.alloc(50_000))
  const handle = await open(path)
  const rounds: Rounds = {
    'a file': async () => {
      for await (const _ of fromFile(shm, path, { bytes: 10_000 }));
    },
    'a file, left': async () => {
      for await (const _ of fromFile(shm, path, { bytes: 10_000 })) break
    },
    'a file, aborted': async () => {
      const ending = new AbortController()
      const source = fromFile(shm, handle, { bytes: 10_000, signal: ending.signal })
      await source.next()
      ending.abort(new RangeError('enough'))
      await throws(() => source.next())
    },
    'no file': () => throws(() => fromFile(shm, folder).next()),
    readInto: async () => {
      using buffer = shm.allocate(1000)
      await readInto(handle, buffer, { position: 0 })
    },
  }
  const end = async () => {
    await handle.close()
    rmSync(folder, { recursive: true })
  }
  return { rounds, end }
}

async function sockets(shm: ShmManager): Promise<Set> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-leaks-'))
  const path = join(folder, 'socket')
  const server = createServer((socket) => socket.on('error', nothing).end(bytes)).listen(path)
  await once(server, 'listening')
  const rounds: Rounds = {
    'a socket': async () => {
      const source = fromSocket(shm, { path })
      for await (const _ of source);
      if (!source.socket.destroyed) await once(source.socket.end(), 'close')
    },
    'a socket, left': async () => {
      const source = fromSocket(shm, { path })
      for await (const _ of source) break
      if (!source.socket.closed) await once(source.socket, 'close')
    },
    'no socket': () => throws(() => fromSocket(shm, { path: folder }).next()),
  }
  const end = async () => {
    server.close()
    await once(server, 'close')
    rmSync(folder, { recursive: true })
  }
  return { rounds, end }
}
