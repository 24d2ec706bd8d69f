import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { type FileHandle, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type BufferPtr, fromFile, fromSocket, readInto } from '../../index.js'
import { buffersInUse, openDomain, testDomain } from '../helpers/domain.js'
import { testMapped } from '../helpers/mapped.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { fileOf, folder, MIB, placeOf, through } from '../helpers/ingest.js'
import { until } from '../process/children.js'

/** Path of a new named pipe. A read that waits takes one of the system’s few threads, so who reads from one runs alone. */
function pipeIn(t: ExecutionContext): string {
  const path = join(folder(t), 'pipe')
  execFileSync('mkfifo', [path])
  return path
}

/** What descriptor `fd` of this process is. */
function linkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    // The one that listed them.
    return undefined
  }
}

testMapped('what the kernel is told to read a file into is what arrives', async (t) => {
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
  for await (const { bytes } of fromFile(shm, spy, { bytes: 10_000, prefetch: 3 })) {
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

test('a file arrives whole and in order, in buffers of the pool', async (t) => {
  const shm = openDomain(t)
  const content = randomBytes(3 * MIB + 12_345)
  const path = await fileOf(t, content)
  for (const [bytes, prefetch] of [
    [65_536, 4],
    [4096, 1],
    [100_000, 32],
    [8 * MIB, 2],
  ] as const) {
    t.true(content.equals(await through(shm, fromFile(shm, path, { bytes, prefetch }))))
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
  for await (const buffer of fromFile(shm, path, { bytes: 4096, prefetch: 16 })) {
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
  // Those that the system still reads into come back when it is done.
  await until(() => buffersInUse(shm) === 0)
  await t.throwsAsync(fromFile(shm, join(path, 'missing')).next(), { code: 'ENOTDIR' })
  t.is(buffersInUse(shm), 0)
})

test('a file is read no further ahead than asked, and waits while the pool is exhausted', async (t) => {
  const shm = openDomain(t, { maxBytes: '2MiB' })
  const content = randomBytes(3 * MIB)
  const path = await fileOf(t, content)
  const hash = createHash('sha256')
  const held: BufferPtr[] = []
  for await (const buffer of fromFile(shm, path, { bytes: 65_536, prefetch: 3 })) {
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

test.serial('a pipe is read as it comes', async (t) => {
  const shm = openDomain(t)
  const path = pipeIn(t)
  const content = randomBytes(300_000)
  const written = writeFile(path, content)
  t.true(content.equals(await through(shm, fromFile(shm, path, { bytes: 5000 }))))
  await written
  t.is(buffersInUse(shm), 0)
})

test('what the system says of a size is no end: files of /proc are read to theirs', async (t) => {
  const shm = openDomain(t)
  // Says 0 bytes, and is the same whenever it is read.
  const version = await through(shm, fromFile(shm, '/proc/version', { bytes: 10 }))
  t.is(version.toString(), readFileSync('/proc/version', 'utf8'))
  // Says 4096 bytes, and has fewer.
  const mounted = '/sys/kernel/mm/transparent_hugepage/enabled'
  if (existsSync(mounted)) t.is((await through(shm, fromFile(shm, mounted))).toString(), readFileSync(mounted, 'utf8'))
  t.is(buffersInUse(shm), 0)
})

test.serial('start and end hold for devices and pipes, too', async (t) => {
  const shm = openDomain(t)
  t.is((await through(shm, fromFile(shm, '/dev/urandom', { end: 100_000, bytes: 30_000 }))).length, 100_000)
  t.is((await through(shm, fromFile(shm, '/dev/zero', { start: 5000, end: 5001 }))).length, 1)
  t.is((await through(shm, fromFile(shm, '/dev/null', { start: 1 }))).length, 0)
  t.is((await through(shm, fromFile(shm, '/dev/zero', { start: 7, end: 7 }))).length, 0)
  const path = pipeIn(t)
  const content = randomBytes(100_000)
  const written = writeFile(path, content)
  const part = await through(shm, fromFile(shm, path, { start: 12_345, end: 99_990, bytes: 4096 }))
  // The rest, which the writer waits to be rid of.
  await written.catch((error: NodeJS.ErrnoException) => t.is(error.code, 'EPIPE'))
  t.true(content.subarray(12_345, 99_990).equals(part))
  t.is(buffersInUse(shm), 0)
})

test('a file that changes its size while it is read ends where it ends then', async (t) => {
  const shm = openDomain(t)
  const path = await fileOf(t, new Uint8Array(100_000).fill(1))
  const growing = fromFile(shm, path, { bytes: 10_000, prefetch: 2 })
  t.is((await growing.next()).value!.length, 10_000)
  appendFileSync(path, new Uint8Array(5000).fill(2))
  let arrived = 0
  for await (const { bytes } of growing) arrived += bytes.length
  t.is(arrived, 95_000)
  const shrinking = fromFile(shm, path, { bytes: 10_000, prefetch: 2 })
  t.is((await shrinking.next()).value!.length, 10_000)
  truncateSync(path, 40_001)
  arrived = 0
  for await (const { bytes } of shrinking) arrived += bytes.length
  t.is(arrived, 30_001)
  t.is(buffersInUse(shm), 0)
})

test.serial(
  'while a pipe is idle an abort is heard, and the loop can be left; the memory comes back with the read',
  async (t) => {
    const shm = openDomain(t)
    const path = pipeIn(t)
    // Both ends, so that neither waits for the other.
    const writer = openSync(path, constants.O_RDWR)
    t.teardown(() => closeSync(writer))
    const ending = new AbortController()
    const aborted = fromFile(shm, path, { bytes: 1000, signal: ending.signal })
    const first = aborted.next()
    await until(() => buffersInUse(shm) === 1)
    ending.abort(new Error('enough'))
    await t.throwsAsync(first, { message: 'enough' })
    t.deepEqual(await aborted.next(), { value: undefined, done: true })
    const left = fromFile(shm, path, { bytes: 1000 })
    const second = left.next()
    await until(() => buffersInUse(shm) === 2)
    t.deepEqual(await left.return!(), { value: undefined, done: true })
    t.deepEqual(await second, { value: undefined, done: true })
    // The system still may write into them.
    t.is(buffersInUse(shm), 2)
    writeSync(writer, Buffer.alloc(1000))
    writeSync(writer, Buffer.alloc(1000))
    await until(() => buffersInUse(shm) === 0)
  },
)

test('a signal that has aborted takes nothing', async (t) => {
  const shm = openDomain(t)
  const path = await fileOf(t, randomBytes(1000))
  t.throws(() => fromFile(shm, path, { signal: AbortSignal.abort(new Error('before')) }), { message: 'before' })
  const ending = new AbortController()
  const source = fromFile(shm, path, { signal: ending.signal })
  ending.abort(new Error('enough'))
  await t.throwsAsync(source.next(), { message: 'enough' })
  t.deepEqual(await source.next(), { value: undefined, done: true })
  t.is(shm.stats().pools.length, 0)
})

test.serial('when the manager closes, reading fails, whatever it was at', async (t) => {
  const domain = testDomain(t)
  const path = pipeIn(t)
  const writer = openSync(path, constants.O_RDWR)
  t.teardown(() => closeSync(writer))
  const shm = domain.open()
  const idle = fromFile(shm, path, { bytes: 1000 }).next()
  const handle = await open(path)
  const buffer = shm.allocate(1000)
  const into = readInto(handle, buffer)
  const file = fromFile(shm, await fileOf(t, randomBytes(MIB)), { bytes: 4096 })
  t.is((await file.next()).value!.length, 4096)
  await until(() => buffersInUse(shm) >= 2)
  shm.close()
  await rejectsCode(t, idle, 'ERR_MILLRACE_CLOSED', domain.name)
  await rejectsCode(t, file.next(), 'ERR_MILLRACE_CLOSED', domain.name)
  t.deepEqual(await file.next(), { value: undefined, done: true })
  await rejectsCode(t, fromFile(shm, path).next(), 'ERR_MILLRACE_CLOSED', domain.name)
  writeSync(writer, Buffer.alloc(2000))
  await rejectsCode(t, into, 'ERR_MILLRACE_CLOSED', domain.name)
  await handle.close()
})

test.serial('readInto: memory that is read into is nobody else’s, though its buffer is released', async (t) => {
  const shm = openDomain(t)
  const path = pipeIn(t)
  const writer = openSync(path, constants.O_RDWR)
  t.teardown(() => closeSync(writer))
  const handle = await open(path)
  const buffer = shm.allocate(1000)
  const read = readInto(handle, buffer)
  buffer.release()
  const others = shm.allocateMany(1000, 64)
  for (const other of others) other.bytes.fill(7)
  writeSync(writer, Buffer.alloc(1000, 0xee))
  await rejectsCode(t, read, 'ERR_MILLRACE_RELEASED')
  t.true(others.every(({ bytes }) => bytes.every((byte) => byte === 7)))
  for (const other of others) other.release()
  await handle.close()
  t.is(buffersInUse(shm), 0)
})

test('a read that fails: what had come before it arrives first', async (t) => {
  const shm = openDomain(t)
  const handle = await open(await fileOf(t, randomBytes(50_000)))
  const failing = Object.create(handle) as FileHandle
  failing.stat = (() => handle.stat()) as FileHandle['stat']
  failing.read = ((bytes: Uint8Array, offset: number, length: number, position: number) =>
    position === 30_000
      ? Promise.reject(new Error('a bad sector'))
      : handle.read(bytes, offset, length, position)) as FileHandle['read']
  const source = fromFile(shm, failing, { bytes: 10_000, prefetch: 8 })
  for (let i = 0; i < 3; i++) t.is((await source.next()).value!.length, 10_000)
  await t.throwsAsync(source.next(), { message: 'a bad sector' })
  t.deepEqual(await source.next(), { value: undefined, done: true })
  await handle.close()
  await until(() => buffersInUse(shm) === 0)
})

test('calls of next() that overlap get the pieces in their order, and each is released', async (t) => {
  const shm = openDomain(t)
  const content = randomBytes(30_000)
  const source = fromFile(shm, await fileOf(t, content), { bytes: 10_000 })
  const results = await Promise.all([source.next(), source.next(), source.next(), source.next()])
  const pieces = results.map(({ value }) => value)
  t.is(pieces[3], undefined)
  for (let i = 0; i < 3; i++) t.true(content.subarray(i * 10_000, (i + 1) * 10_000).equals(pieces[i]!.bytes))
  await source.return!()
  t.true(pieces.slice(0, 3).every((piece) => piece!.released))
  t.is(buffersInUse(shm), 0)
})

test('a file that was opened here is closed here, however the loop ends', async (t) => {
  const shm = openDomain(t)
  const path = await fileOf(t, randomBytes(MIB))
  const opened = () => readdirSync('/proc/self/fd').filter((fd) => linkOf(fd) === path).length
  for await (const _ of fromFile(shm, path)) t.is(opened(), 1)
  t.is(opened(), 0)
  for await (const _ of fromFile(shm, path)) break
  t.is(opened(), 0)
  const ending = new AbortController()
  const aborted = fromFile(shm, path, { signal: ending.signal, bytes: 4096 })
  await aborted.next()
  ending.abort(new Error('enough'))
  await t.throwsAsync(aborted.next(), { message: 'enough' })
  await until(() => opened() === 0)
  const unread = fromFile(shm, path)
  await unread.return!()
  t.is(opened(), 0)
})

test('what is read into belongs to a manager: anything else is refused at once', async (t) => {
  const path = await fileOf(t, randomBytes(10))
  for (const shm of [undefined, null, path, {}, { allocator: {} }]) {
    throwsCode(t, () => fromFile(shm as never, path), 'ERR_MILLRACE_INVALID_ARGUMENT', 'shm must be a ShmManager')
    throwsCode(
      t,
      () => fromSocket(shm as never, { port: 1 }),
      'ERR_MILLRACE_INVALID_ARGUMENT',
      'shm must be a ShmManager',
    )
  }
})
