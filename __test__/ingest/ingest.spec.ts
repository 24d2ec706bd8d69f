import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type FileHandle, open, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import test, { type ExecutionContext } from 'ava'
import { type BufferPtr, fromFile, fromSocket, readInto, type ShmManager } from '../../index.js'
import { buffersInUse, openDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { until } from '../process/children.js'

const MIB = 1 << 20

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-ingest-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

async function fileOf(t: ExecutionContext, bytes: Uint8Array): Promise<string> {
  const path = join(folder(t), 'file')
  await writeFile(path, bytes)
  return path
}

/** Everything `source` yields, as one piece, through a queue: buffers are handed on as they came. */
async function through(shm: ShmManager, source: AsyncIterable<BufferPtr>): Promise<Buffer> {
  const queue = shm.portQueue('pieces', { capacity: 4096 })
  for await (const buffer of source) await queue.send(buffer)
  return Buffer.concat(
    queue.receiveMany(4096).map((message) => {
      const piece = message.copy()
      message.release()
      return piece
    }),
  )
}

/** Where in memory `bytes` lie: which mapping, and where in it. */
function placeOf({ buffer, byteOffset }: Uint8Array): { buffer: ArrayBufferLike; byteOffset: number } {
  return { buffer, byteOffset }
}

test('what the kernel is told to read a file into is what arrives', async (t) => {
  const shm = openDomain(t)
  const handle = await open(await fileOf(t, randomBytes(100_000)))
  const given: ReturnType<typeof placeOf>[] = []
  const spy = Object.create(handle) as FileHandle
  spy.stat = (() => handle.stat()) as FileHandle['stat']
  spy.read = ((bytes: Uint8Array, ...rest: [number, number, number]) => {
    given.push(placeOf(bytes))
    return handle.read(bytes, ...rest)
  }) as FileHandle['read']
  const mapping = shm.allocate(10_000)
  let arrived = 0
  for await (const { bytes } of fromFile(shm, spy, { bytes: 10_000, ahead: 3 })) {
    const place = given[arrived++]!
    t.is(place.buffer, bytes.buffer)
    t.is(place.buffer, mapping.bytes.buffer)
    t.is(place.byteOffset, bytes.byteOffset)
  }
  t.is(arrived, 10)
  mapping.release()
  await handle.close()
  t.is(buffersInUse(shm), 0)
})

test('what the kernel is told to read a socket into is what arrives', async (t) => {
  const shm = openDomain(t)
  const { path } = await serve(t, (socket) => socket.pipe(socket))
  const source = fromSocket(shm, { path }, { bytes: 10_000 })
  // Node keeps what it has given to the kernel under this symbol.
  const symbol = Object.getOwnPropertySymbols(source.socket).find(({ description }) => description === 'kBuffer')!
  const mapping = shm.allocate(10_000)
  for (let i = 0; i < 20; i++) {
    const given = placeOf((source.socket as unknown as Record<symbol, Uint8Array>)[symbol]!)
    source.socket.write(`message ${i}`)
    const { bytes } = (await source.next()).value!
    t.is(given.buffer, bytes.buffer)
    t.is(given.buffer, mapping.bytes.buffer)
    t.is(given.byteOffset, bytes.byteOffset)
  }
  await source.return()
  mapping.release()
  t.is(buffersInUse(shm), 0)
})

test('a file arrives whole and in order, in buffers of the pool', async (t) => {
  const shm = openDomain(t)
  const content = randomBytes(3 * MIB + 12_345)
  const path = await fileOf(t, content)
  for (const [bytes, ahead] of [
    [65_536, 4],
    [4096, 1],
    [100_000, 32],
    [8 * MIB, 2],
  ] as const) {
    t.true(content.equals(await through(shm, fromFile(shm, path, { bytes, ahead }))))
    t.is(buffersInUse(shm), 0)
  }
})

test('a part of a file; an empty file; a handle stays open', async (t) => {
  const shm = openDomain(t)
  const content = randomBytes(100_000)
  const path = await fileOf(t, content)
  t.true(
    content.subarray(7, 70_007).equals(await through(shm, fromFile(shm, path, { start: 7, end: 70_007, bytes: 999 }))),
  )
  const handle = await open(path)
  t.true(content.equals(await through(shm, fromFile(shm, handle))))
  t.true(content.equals(await through(shm, fromFile(shm, handle))))
  await handle.close()
  const empty = await fileOf(t, new Uint8Array())
  t.is((await through(shm, fromFile(shm, empty))).length, 0)
  t.is(buffersInUse(shm), 0)
})

test('readInto fills a buffer, and says how far', async (t) => {
  const shm = openDomain(t)
  const handle = await open(await fileOf(t, Buffer.from('0123456789')))
  const buffer = shm.allocate(4)
  t.is(await readInto(handle, buffer, { bytes: 4 }), 4)
  t.is(buffer.text(), '0123')
  t.is(await readInto(handle, buffer, { position: 7 }), 3)
  t.is(buffer.text(), '789')
  t.is(await readInto(handle, buffer, { position: 10 }), 0)
  t.is(buffer.length, 0)
  await rejectsCode(t, readInto(handle, buffer, { bytes: 257 }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'bytes', '257')
  await handle.close()
  await t.throwsAsync(readInto(handle, buffer), { code: 'EBADF' })
  buffer.release()
})

test('leaving the loop, an abort and a missing file leave nothing behind', async (t) => {
  const shm = openDomain(t)
  const path = await fileOf(t, randomBytes(MIB))
  for await (const buffer of fromFile(shm, path, { bytes: 4096, ahead: 16 })) {
    t.is(buffer.length, 4096)
    break
  }
  t.is(buffersInUse(shm), 0)
  const ending = new AbortController()
  await t.throwsAsync(
    async () => {
      for await (const _ of fromFile(shm, path, { bytes: 4096, signal: ending.signal }))
        ending.abort(new Error('enough'))
    },
    { message: 'enough' },
  )
  t.is(buffersInUse(shm), 0)
  await t.throwsAsync(fromFile(shm, join(path, 'missing')).next(), { code: 'ENOTDIR' })
  t.is(buffersInUse(shm), 0)
})

test('a file is read no further ahead than asked, and waits while the pool is exhausted', async (t) => {
  const shm = openDomain(t, { maxBytes: '2MiB' })
  const content = randomBytes(3 * MIB)
  const path = await fileOf(t, content)
  const hash = createHash('sha256')
  const held: BufferPtr[] = []
  for await (const buffer of fromFile(shm, path, { bytes: 65_536, ahead: 3 })) {
    // Read ahead, in the hand, and kept.
    t.true(buffersInUse(shm) <= 4 + held.length)
    hash.update(buffer.bytes)
    if (held.length === 5) held.shift()!.release()
    held.push(buffer.share())
  }
  for (const buffer of held) buffer.release()
  t.is(hash.digest('hex'), createHash('sha256').update(content).digest('hex'))
  t.is(buffersInUse(shm), 0)
})

test('a pipe is read as it comes', async (t) => {
  const shm = openDomain(t)
  const path = join(folder(t), 'pipe')
  execFileSync('mkfifo', [path])
  const content = randomBytes(300_000)
  const written = writeFile(path, content)
  t.true(content.equals(await through(shm, fromFile(shm, path, { bytes: 5000 }))))
  await written
  t.is(buffersInUse(shm), 0)
})

/** A server that does `each` with every connection. */
async function serve(
  t: ExecutionContext,
  each: (socket: Socket) => void,
  options = {},
): Promise<{ path: string; server: Server }> {
  const path = join(folder(t), 'socket')
  const server = createServer(options, each).listen(path)
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { path, server }
}

test('what a server sends arrives whole, in buffers of the pool', async (t) => {
  const shm = openDomain(t)
  const content = randomBytes(5 * MIB + 1)
  const { path } = await serve(t, (socket) => socket.end(content))
  t.true(content.equals(await through(shm, fromSocket(shm, { path }, { bytes: 10_000 }))))
  t.is(buffersInUse(shm), 0)
})

test('what a client sends to a server arrives whole, and the server counts the connection out', async (t) => {
  const shm = openDomain(t)
  const content = randomBytes(2 * MIB)
  const { path, server } = await serve(t, () => {}, { pauseOnConnect: true })
  const client = connect(path)
  client.end(content)
  const [accepted] = (await once(server, 'connection')) as [Socket]
  const source = fromSocket(shm, accepted, { bytes: 65_536 })
  t.true(content.equals(await through(shm, source)))
  await until(() => source.socket.destroyed)
  const closed = once(server, 'close')
  server.close()
  await closed
  t.is(buffersInUse(shm), 0)
  throwsCode(t, () => fromSocket(shm, accepted), 'ERR_MILLRACE_INVALID_ARGUMENT', 'pauseOnConnect')
})

test('both directions of a socket are used', async (t) => {
  const shm = openDomain(t)
  const { path } = await serve(t, (socket) => socket.pipe(socket))
  const source = fromSocket(shm, { path })
  for (let i = 0; i < 100; i++) {
    source.socket.write(`question ${i}`)
    const { value } = await source.next()
    t.is(value!.text(), `question ${i}`)
  }
  await source.return()
  t.true(source.socket.destroyed)
  t.is(buffersInUse(shm), 0)
})

test('a consumer that does not ask stops the sender', async (t) => {
  const shm = openDomain(t)
  const total = 64 * MIB
  let written = 0
  const { path } = await serve(t, (socket) => {
    const more = () => {
      while (written < total) {
        written += 65_536
        if (!socket.write(new Uint8Array(65_536).fill(written >> 16))) return socket.once('drain', more)
      }
      return socket.end()
    }
    more()
  })
  const source = fromSocket(shm, { path }, { bytes: 65_536, ahead: 3 })
  // Three are filled, the fourth waits to be.
  await until(() => buffersInUse(shm) === 4)
  // Whatever else happens now, the kernel's buffers fill up and then the sender waits.
  let last = -1
  while (last !== written) {
    last = written
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  t.true(written < total / 4, `${written}`)
  t.is(buffersInUse(shm), 4)
  let arrived = 0
  let wrong = 0
  for await (const { bytes } of source) {
    for (const at of [0, bytes.length - 1]) if (bytes[at] !== ((((arrived + at) >> 16) + 1) & 255)) wrong++
    arrived += bytes.length
  }
  t.is(arrived, total)
  t.is(wrong, 0)
  t.is(buffersInUse(shm), 0)
})

test('a socket waits while the pool is exhausted, and loses nothing', async (t) => {
  const shm = openDomain(t, { maxBytes: '1MiB' })
  const content = randomBytes(4 * MIB)
  const { path } = await serve(t, (socket) => socket.end(content))
  const hash = createHash('sha256')
  const source = fromSocket(shm, { path }, { bytes: 100_000, ahead: 1024 })
  const others: BufferPtr[] = []
  let length = 0
  for await (const buffer of source) {
    hash.update(buffer.bytes)
    length += buffer.length
    if (others.length > 0) others.pop()!.release()
    else {
      // Takes whatever is left.
      try {
        for (;;) others.push(shm.allocate(100_000))
      } catch {}
    }
  }
  for (const buffer of others) buffer.release()
  t.is(length, content.length)
  t.is(hash.digest('hex'), createHash('sha256').update(content).digest('hex'))
  t.is(buffersInUse(shm), 0)
})

test('errors and aborts end the iteration, after what had come', async (t) => {
  const shm = openDomain(t)
  await t.throwsAsync(fromSocket(shm, { path: join(folder(t), 'nobody') }).next(), { code: 'ENOENT' })
  const { path } = await serve(t, (socket) => socket.write('something'))
  const ending = new AbortController()
  const source = fromSocket(shm, { path }, { signal: ending.signal })
  t.is((await source.next()).value!.text(), 'something')
  const waiting = source.next()
  ending.abort(new Error('enough'))
  await t.throwsAsync(waiting, { message: 'enough' })
  t.deepEqual(await source.next(), { value: undefined, done: true })
  t.true(source.socket.destroyed)
  t.is(buffersInUse(shm), 0)
  throwsCode(t, () => fromSocket(shm, { path }, { bytes: 0 }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'bytes')
  throwsCode(t, () => fromSocket(shm, { path }, { ahead: 0 }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'ahead')
})

test('it works in guard mode', async (t) => {
  const shm = openDomain(t, { guard: true })
  const content = randomBytes(200_000)
  const { path } = await serve(t, (socket) => socket.end(content))
  const pieces: Uint8Array[] = []
  for await (const buffer of fromSocket(shm, { path }, { bytes: 5000 })) pieces.push(buffer.copy())
  for await (const buffer of fromFile(shm, await fileOf(t, content), { bytes: 5000 })) pieces.push(buffer.copy())
  t.true(Buffer.concat([content, content]).equals(Buffer.concat(pieces)))
  t.is(buffersInUse(shm), 0)
})
