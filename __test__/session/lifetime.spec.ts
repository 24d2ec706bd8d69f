// What a manager that closes leaves to those who still have addresses of its memory: the system, threads of the runtime, old views.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { MessageChannel, Worker } from 'node:worker_threads'
import { gunzip, gzip } from 'node:zlib'
import test, { type ExecutionContext } from 'ava'
import { openDomain, testDomain } from '../helpers/domain.js'
import { collectGarbage } from '../helpers/gc.js'
import { testMapped } from '../helpers/mapped.js'

const MIB = 2 ** 20

/** Both ends of a new FIFO, without a name. */
async function pipe(t: ExecutionContext) {
  const path = join(tmpdir(), `millrace-test-${process.pid}-${Math.random()}`)
  execFileSync('mkfifo', [path])
  const writer = openSync(path, 'r+')
  const reader = await open(path, 'r')
  rmSync(path)
  t.teardown(async () => {
    closeSync(writer)
    await reader.close()
  })
  return { reader, writer }
}

testMapped('a manager closes while a thread waits to read into its memory', async (t) => {
  const { reader, writer } = await pipe(t)
  const shm = openDomain(t)
  const { bytes } = shm.allocate(MIB)
  bytes.fill(7)
  const read = reader.read(bytes, 0, 4096, null)
  await setImmediate()
  shm.close()
  t.is(bytes.length, MIB)
  t.true(bytes.every((byte) => byte === 0))
  writeSync(writer, new Uint8Array(4096).fill(0x41))
  t.is((await read).bytesRead, 4096)
  t.deepEqual(bytes.subarray(0, 4096), new Uint8Array(4096).fill(0x41))
})

testMapped('a guarded view ends, and its manager closes, while a thread waits to read into it', async (t) => {
  const { reader, writer } = await pipe(t)
  const shm = openDomain(t, { guard: true })
  const buffer = shm.allocate(MIB)
  const { bytes } = buffer
  const read = reader.read(bytes, 0, 4096, null)
  await setImmediate()
  buffer.release()
  t.is(bytes.length, 0)
  shm.close()
  collectGarbage()
  await setImmediate()
  const others = Array.from({ length: 40 }, () => new Uint8Array(MIB))
  writeSync(writer, new Uint8Array(4096).fill(0x41))
  await read
  t.false(others.some((array) => array.includes(0x41)))
})

test('a manager closes while a socket receives into its memory', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const shm = openDomain(t)
  const { bytes } = shm.allocate(65_536)
  const arrived = new Promise<number>((resolve) => {
    const callback = (count: number) => {
      resolve(count)
      return true
    }
    const socket = connect({ port, host: '127.0.0.1', onread: { buffer: bytes, callback } })
    t.teardown(() => socket.destroy())
  })
  const [peer] = await once(server, 'connection')
  await setImmediate()
  shm.close()
  peer.end(new Uint8Array(100).fill(0xee))
  t.is(await arrived, 100)
  t.deepEqual(bytes.subarray(0, 101), new Uint8Array(101).fill(0xee, 0, 100))
})

test('a manager closes while a thread compresses its memory', async (t) => {
  const shm = openDomain(t)
  const { bytes } = shm.allocate(32 * MIB)
  const compressed = promisify(gzip)(bytes)
  await setImmediate()
  shm.close()
  const out = await promisify(gunzip)(await compressed)
  t.is(out.length, 32 * MIB)
})

test('what is checked aside is checked to the end when the manager closes', async (t) => {
  const domain = testDomain(t)
  const [shm] = [domain.open(), domain.open()]
  shm.allocate(100).bytes.fill(1)
  const findings = shm.fsck()
  shm.close()
  t.deepEqual(await findings, [])
})

/** Mebibytes of addresses that are in use. */
const mapped = () => Number(/VmSize:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'latin1'))![1]) / 1024

const onLinux = process.platform === 'linux' ? test.serial : test.skip

onLinux('addresses are free again when nothing can reach them', async (t) => {
  const grown = async (guard: boolean, kept: Uint8Array[] = []) => {
    const before = mapped()
    for (let i = 0; i < 16; i++) {
      const shm = openDomain(t, { guard })
      const buffer = shm.allocate(64 * MIB)
      if (i % 2 === 0) buffer.bytes[0] = 1
      else kept.push(buffer.bytes)
      shm.close()
    }
    for (const view of kept) t.is(view[0], 0)
    kept.length = 0
    for (let i = 0; i < 5; i++) {
      collectGarbage()
      await setImmediate()
    }
    return mapped() - before
  }
  await grown(false)
  for (const guard of [false, true]) {
    const mebibytes = await grown(guard)
    t.true(mebibytes < 256, `${mebibytes} MiB of addresses are kept by 16 managers that had 64 MiB each`)
  }
})

const TAKE_OVER = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { ShmManager } = require('millrace')
  const shm = ShmManager.open(workerData.domain, { guard: workerData.guard })
  const { buffer } = shm.allocate(65536).bytes
  new Uint8Array(buffer)[0] = 7
  const mine = buffer.transfer()
  if (workerData.close) shm.close()
  workerData.port.postMessage(mine, [mine])`

const canTransfer = 'transfer' in ArrayBuffer.prototype ? test : test.skip

canTransfer('memory that another isolate took over outlives the one it was made in', async (t) => {
  for (const [close, guard] of [
    [true, false],
    [false, false],
    [false, true],
  ]) {
    const shm = openDomain(t)
    const { port1, port2 } = new MessageChannel()
    t.teardown(() => port1.close())
    const workerData = { domain: shm.domain, port: port2, close, guard }
    const worker = new Worker(TAKE_OVER, { eval: true, workerData, transferList: [port2] })
    const [[taken]] = (await Promise.all([once(port1, 'message'), once(worker, 'exit')])) as [[ArrayBuffer], unknown]
    const view = new Uint8Array(taken)
    t.true(view.every((byte) => byte === 0))
    view.fill(1)
    t.true(view.every((byte) => byte === 1))
  }
})
