import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import { type BufferPtr, fromFile, fromSocket } from '../../index.js'
import { buffersInUse, openDomain, testDomain } from '../helpers/domain.js'
import { testMapped } from '../helpers/mapped.js'
import { throwsCode } from '../helpers/errors.js'
import { fileOf, folder, MIB, placeOf, through } from '../helpers/ingest.js'
import { until } from '../process/children.js'

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

/** Both ends of a connection; `accepted` is the server's. */
async function pair(t: ExecutionContext, options = {}): Promise<{ accepted: Socket; peer: Socket }> {
  const { path, server } = await serve(t, () => {}, options)
  const peer = connect(path)
  const [accepted] = (await once(server, 'connection')) as [Socket]
  t.teardown(() => peer.destroy())
  return { accepted, peer }
}

testMapped('what the kernel is told to read a socket into is what arrives', async (t) => {
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
  throwsCode(t, () => fromSocket(shm, accepted), 'ERR_MILLRACE_INVALID_ARGUMENT', 'taken over already')
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
  const source = fromSocket(shm, { path }, { bytes: 65_536, prefetch: 3 })
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
  const source = fromSocket(shm, { path }, { bytes: 100_000, prefetch: 1024 })
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
  throwsCode(t, () => fromSocket(shm, { path }, { prefetch: 0 }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'prefetch')
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

test('when the manager closes, its sockets are destroyed, their loops end, and nothing is uncaught', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const peers: Socket[] = []
  const { path } = await serve(t, (socket) => peers.push(socket.on('error', () => {})))
  const idle = fromSocket(shm, { path })
  const ended = idle.next()
  const unread = fromSocket(shm, { path })
  await until(() => peers.length === 2)
  for (const peer of peers) peer.write(Buffer.alloc(4096, 0xee))
  await until(() => buffersInUse(shm) >= 3)
  t.is((await ended).value!.length, 4096)
  const waiting = idle.next()
  shm.close()
  for (const peer of peers) peer.write(Buffer.alloc(4096, 0xee))
  t.deepEqual(await waiting, { value: undefined, done: true })
  t.deepEqual(await unread.next(), { value: undefined, done: true })
  t.true(idle.socket.destroyed && unread.socket.destroyed)
  await until(() => peers.every(({ destroyed }) => destroyed))
  throwsCode(t, () => fromSocket(shm, { path }), 'ERR_MILLRACE_CLOSED', domain.name)
})

for (const bytes of [10, 60_000, 300_000]) {
  test(`of a socket that was read from, all arrives that it had not handed out: ${bytes} bytes and the end`, async (t) => {
    const shm = openDomain(t)
    const { accepted, peer } = await pair(t)
    const content = randomBytes(bytes)
    peer.write('HEADER\n')
    const [header] = (await once(accepted, 'data')) as [Buffer]
    t.is(header.toString(), 'HEADER\n')
    accepted.pause()
    accepted.removeAllListeners('data')
    peer.end(content)
    // It has received some of it, or all of it and the end.
    await until(() => accepted.readableLength >= Math.min(bytes, accepted.readableHighWaterMark))
    accepted.unshift(Buffer.from('put back'))
    const pieces = await through(shm, fromSocket(shm, accepted, { bytes: 1000, prefetch: 2 }))
    t.is(pieces.length, bytes + 8)
    t.true(Buffer.concat([Buffer.from('put back'), content]).equals(pieces))
    t.is(buffersInUse(shm), 0)
  })
}

test('a socket that cannot be taken over is refused, and left as it is', async (t) => {
  const shm = openDomain(t)
  const refuse = (socket: Socket, why: string) =>
    throwsCode(t, () => fromSocket(shm, socket), 'ERR_MILLRACE_INVALID_ARGUMENT', why)
  const { accepted, peer } = await pair(t, { pauseOnConnect: true })
  const heard: string[] = []
  const listener = (chunk: Buffer) => heard.push(chunk.toString())
  accepted.on('data', listener).pause()
  peer.write('for the listener')
  refuse(accepted, 'nobody reads from')
  accepted.resume()
  await until(() => heard.length > 0)
  t.deepEqual(heard, ['for the listener'])
  accepted.off('data', listener).pause()
  accepted.setEncoding('utf8')
  refuse(accepted, 'setEncoding')
  const other = await pair(t, { pauseOnConnect: true })
  other.accepted.write(Buffer.alloc(8 * MIB))
  refuse(other.accepted, 'written all')
  let written = 0
  other.peer.on('data', (chunk: Buffer) => (written += chunk.length))
  await until(() => written === 8 * MIB)
  const connecting = connect({ port: 1, host: '127.0.0.1' }).on('error', () => {})
  refuse(connecting, 'connected')
  await until(() => connecting.destroyed)
  refuse(connecting, 'open')
  refuse(Object.assign(new Socket(), { encrypted: true }), 'TLS')
  t.is(buffersInUse(shm), 0)
})

const testOnBun = 'bun' in process.versions ? test : test.skip
testOnBun('where sockets are not handed over, that is said, and the socket left as it is', async (t) => {
  const shm = openDomain(t)
  const { accepted, peer } = await pair(t, { pauseOnConnect: true })
  peer.end('sent')
  throwsCode(t, () => fromSocket(shm, accepted), 'ERR_MILLRACE_UNSUPPORTED', 'does not hand sockets over', '{ port }')
  t.is(await text(accepted), 'sent')
  t.is(buffersInUse(shm), 0)
})

test('a socket whose pool is exhausted from the beginning waits', async (t) => {
  const shm = openDomain(t, { maxBytes: '1MiB' })
  const held: BufferPtr[] = []
  for (let buffer = shm.allocator.tryAllocate(65_536); buffer !== null; buffer = shm.allocator.tryAllocate(65_536)) {
    held.push(buffer)
  }
  const content = randomBytes(200_000)
  const { path } = await serve(t, (socket) => socket.end(content))
  const source = fromSocket(shm, { path }, { bytes: 65_536, prefetch: 1 })
  const first = source.next()
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  for (const buffer of held) buffer.release()
  const pieces = [(await first).value!.copy()]
  for await (const buffer of source) pieces.push(buffer.copy())
  t.true(content.equals(Buffer.concat(pieces)))
  t.is(buffersInUse(shm), 0)
})

test('calls of next() that overlap are served in order; return() ends those that wait', async (t) => {
  const shm = openDomain(t)
  const { path } = await serve(t, (socket) => socket.pipe(socket))
  const source = fromSocket(shm, { path })
  const both = [source.next(), source.next()]
  source.socket.write('one')
  const first = (await both[0]!).value!
  t.is(first.text(), 'one')
  source.socket.write('two')
  const second = (await both[1]!).value!
  t.is(second.text(), 'two')
  // Each is its caller's until the next call.
  t.false(first.released)
  const waiting = source.next()
  t.true(first.released && second.released)
  t.deepEqual(await source.return(), { value: undefined, done: true })
  t.deepEqual(await waiting, { value: undefined, done: true })
  t.is(buffersInUse(shm), 0)
})

test('after the other side’s end the socket can still be written to', async (t) => {
  const shm = openDomain(t)
  const { accepted, peer } = await pair(t, { pauseOnConnect: true, allowHalfOpen: true })
  const answers = text(peer)
  peer.end('question')
  const source = fromSocket(shm, accepted)
  let question = ''
  for await (const buffer of source) question += buffer.text()
  t.is(question, 'question')
  t.false(source.socket.destroyed)
  source.socket.end('answer')
  t.is(await answers, 'answer')
  t.is(buffersInUse(shm), 0)
})

test('an abort drops what has come, and takes nothing more', async (t) => {
  const shm = openDomain(t)
  const { path } = await serve(t, (socket) => socket.on('error', () => {}).write(Buffer.alloc(MIB)))
  const ending = new AbortController()
  const source = fromSocket(shm, { path }, { bytes: 1000, prefetch: 8, signal: ending.signal })
  await until(() => buffersInUse(shm) === 9)
  ending.abort(new Error('enough'))
  t.true(source.socket.destroyed)
  t.is(buffersInUse(shm), 0)
  await t.throwsAsync(source.next(), { message: 'enough' })
  t.deepEqual(await source.next(), { value: undefined, done: true })
})
