// A first look at the speed, Millrace and a Unix socket in turn, two processes each. `npm run bench`.
// Rounds alternate (A B A B …), the table shows medians: machines are shared and noisy.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ShmManager } from '../index.js'

const ROUNDS = 5
const PINGS = 5_000
const SMALL = 1_000_000
const LARGE_BYTES = 1 << 20
const LARGE = 20_000

const [role, name, path] = process.argv.slice(2)
if (role === 'echo') await echo(name!, path!)
else await measure()

/** The other process: sends back pings, swallows the rest and says when all of a stream has come. */
async function echo(domain: string, socketPath: string): Promise<void> {
  using shm = ShmManager.open(domain)
  const [ping, pong, stream] = [shm.portQueue('ping'), shm.portQueue('pong'), shm.portQueue('stream')]
  void ping.consume((message) => void pong.trySend(message.share()))
  void countStream()
  const server = createServer((socket) => echoSocket(socket)).listen(socketPath)
  process.once('disconnect', () => server.close(() => process.exit()))
  await once(server, 'listening')
  process.send!('ready')
  await new Promise(() => {})

  async function countStream(): Promise<void> {
    let left = 0
    for await (const batch of stream.batches({ max: 256 })) {
      for (const message of batch) {
        if (left === 0) left = Number(message.tag)
        left -= 1
        if (left === 0) process.send!('all')
      }
    }
  }
}

/** Frames of 64 bytes are echoed; a frame header of 8 bytes announces a stream: size of all of it, then that many bytes. */
function echoSocket(socket: Socket): void {
  socket.setNoDelay()
  let left = 0
  socket.on('data', (chunk) => {
    if (left === 0 && chunk.length === 64) {
      socket.write(chunk)
      return
    }
    if (left === 0) {
      left = Number(chunk.readBigUInt64LE(0))
      chunk = chunk.subarray(8)
    }
    left -= chunk.length
    if (left === 0) process.send!('all')
  })
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}

async function measure(): Promise<void> {
  const domain = `bench-${process.pid}`
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const socketPath = join(folder, 'socket')
  const shm = ShmManager.open(domain)
  const ping = shm.portQueue('ping', { capacity: 64 })
  const pong = shm.portQueue('pong', { capacity: 64 })
  const stream = shm.portQueue('stream', { capacity: 1024 })
  const child = fork(fileURLToPath(import.meta.url), ['echo', domain, socketPath])
  await once(child, 'message')
  const socket = connect(socketPath).setNoDelay()
  await once(socket, 'connect')

  const rows: Record<string, { millrace: number[]; socket: number[] }> = {}
  const add = async (row: string, millrace: () => Promise<number>, other: () => Promise<number>) => {
    rows[row] ??= { millrace: [], socket: [] }
    for (let round = 0; round < ROUNDS; round++) {
      rows[row].millrace.push(await millrace())
      rows[row].socket.push(await other())
    }
  }
  await add('round trip p50, both event loops parked, us', shmTrip, socketTrip)
  await add(
    '64 B copied, batches, M messages/s',
    () => shmCopies(SMALL),
    () => socketStream(SMALL, 64, 1024),
  )
  await add(
    '1 MiB filled buffer handed over, k messages/s',
    () => shmHandOver(LARGE),
    () => socketStream(1000, LARGE_BYTES, 1),
  )
  child.disconnect()
  socket.destroy()
  await once(child, 'exit')
  shm.close()
  rmSync(folder, { recursive: true, force: true })

  console.log(`median of ${ROUNDS} (min … max)`)
  for (const [row, { millrace, socket: other }] of Object.entries(rows)) {
    const show = (v: number[]) =>
      `${median(v).toPrecision(3)} (${Math.min(...v).toPrecision(3)} … ${Math.max(...v).toPrecision(3)})`
    console.log(`${row.padEnd(50)} Millrace ${show(millrace).padEnd(28)} Unix socket ${show(other)}`)
  }

  async function shmTrip(): Promise<number> {
    const times: number[] = []
    for (let i = 0; i < PINGS; i++) {
      const start = process.hrtime.bigint()
      ping.trySend(shm.allocate(64))
      ;(await pong.receive()).release()
      times.push(Number(process.hrtime.bigint() - start) / 1e3)
    }
    return median(times)
  }

  async function socketTrip(): Promise<number> {
    const times: number[] = []
    const frame = Buffer.alloc(64)
    for (let i = 0; i < PINGS; i++) {
      const start = process.hrtime.bigint()
      socket.write(frame)
      await once(socket, 'data')
      times.push(Number(process.hrtime.bigint() - start) / 1e3)
    }
    return median(times)
  }

  async function shmCopies(count: number): Promise<number> {
    const values = Array.from({ length: 256 }, () => new Uint8Array(64))
    const start = performance.now()
    const all = once(child, 'message')
    await announce(count)
    for (let sent = 1; sent < count; sent += 256) await stream.putMany(values.slice(0, Math.min(256, count - sent)))
    await all
    return count / (performance.now() - start) / 1e3
  }

  async function shmHandOver(count: number): Promise<number> {
    const filled = shm.allocate(LARGE_BYTES)
    filled.bytes.fill(1)
    const start = performance.now()
    const all = once(child, 'message')
    await announce(count)
    for (let sent = 1; sent < count; sent++) {
      const buffer = filled.share()
      if (!stream.trySend(buffer)) await stream.send(buffer)
    }
    await all
    filled.release()
    return count / (performance.now() - start)
  }

  /** The first message of a stream says how many come. */
  async function announce(count: number): Promise<void> {
    const head = shm.allocate(64)
    head.tag = BigInt(count)
    await stream.send(head)
  }

  async function socketStream(count: number, bytes: number, perWrite: number): Promise<number> {
    const chunk = Buffer.alloc(bytes * perWrite)
    const head = Buffer.alloc(8)
    head.writeBigUInt64LE(BigInt(count * bytes))
    const start = performance.now()
    const all = once(child, 'message')
    socket.write(head)
    for (let sent = 0; sent < count; sent += perWrite) {
      const part = sent + perWrite <= count ? chunk : chunk.subarray(0, (count - sent) * bytes)
      if (!socket.write(part)) await once(socket, 'drain')
    }
    await all
    return bytes === 64 ? count / (performance.now() - start) / 1e3 : count / (performance.now() - start)
  }
}
