// Request and response between two processes: a Millrace service, JSON lines over a Unix socket, and child_process IPC, in turn.
// `node dist/bench/service.js [--json]`. Rounds alternate (A B C A B C …), because machines are shared and noisy; the table
// shows the median round. Latency is from the call to its reply, so at 256 at once it contains the queueing.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { ShmManager } from '../index.js'

const ROUNDS = 5
const ROUND_MS = 1000
const CONCURRENCIES = [1, 16, 256]
const FRAME_BYTES = 1 << 20

interface Message {
  id: number
  name: string
  values: number[]
}

type Ask = (message: Message) => Promise<Message>

interface Figures {
  peer: string
  atOnce: number
  perSecond: number
  p50: number
  p99: number
}

const [role, domain, socketPath] = process.argv.slice(2)
if (role === 'echo') await echo(domain!, socketPath!)
else await measure(role === '--json')

/** The other process: answers each request with its own value. */
async function echo(name: string, path: string): Promise<void> {
  using shm = ShmManager.open(name)
  const served = shm
    .service<Message, Message>('json', { codec: 'json' })
    .serve((message) => message, { concurrency: 256 })
  void shm.service('frames').serve((frame) => frame, { concurrency: 256 })
  const server = createServer((socket) => {
    const pass = (line: string) => socket.write(`${JSON.stringify(JSON.parse(line))}\n`)
    createInterface({ input: socket.setNoDelay() }).on('line', pass)
  }).listen(path)
  await once(server, 'listening')
  process.on('message', (message) => process.send!(message))
  process.once('disconnect', () => process.exit())
  process.send!('ready')
  await served
}

async function measure(asJson: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const path = join(folder, 'socket')
  const shm = ShmManager.open(`bench-service-${process.pid}`)
  const child = fork(fileURLToPath(import.meta.url), ['echo', shm.domain, path])
  await once(child, 'message')
  const socket = connect(path).setNoDelay()
  await once(socket, 'connect')

  const service = shm.service<Message, Message>('json', { codec: 'json' })
  const frames = shm.service('frames')
  const peers: [string, Ask][] = [
    ['Millrace service, json', (message) => service.request(message)],
    ['Unix socket, JSON lines', overSocket(socket)],
    ['child_process IPC', overIpc(child)],
    ['Millrace service, 1 MiB buffer', frame],
  ]
  const figures: Figures[] = []
  for (const atOnce of CONCURRENCIES) {
    // Frames of 1 MiB, 256 at once, are more than the default pool.
    const able = atOnce > 16 ? peers.slice(0, 3) : peers
    const rounds = able.map((): Figures[] => [])
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, [peer, ask]] of able.entries()) rounds[index]!.push(await run(peer, ask, atOnce))
    }
    for (const list of rounds) figures.push(list.toSorted((a, b) => a.perSecond - b.perSecond)[ROUNDS >> 1]!)
  }
  child.disconnect()
  socket.destroy()
  await once(child, 'exit')
  shm.close()
  rmSync(folder, { recursive: true, force: true })
  show(figures, asJson)

  /** A frame goes there and comes back as the same buffer. */
  async function frame(message: Message): Promise<Message> {
    using reply = await frames.request(shm.allocate(FRAME_BYTES))
    if (reply.length !== FRAME_BYTES) throw new Error('not the frame')
    return message
  }
}

/** Asks for a second, `atOnce` at a time. */
async function run(peer: string, ask: Ask, atOnce: number): Promise<Figures> {
  const times: number[] = []
  const lane = async (end: number, keep: boolean) => {
    for (let id = 0; performance.now() < end; id++) {
      const start = performance.now()
      const reply = await ask({ id, name: 'a small request', values: [1, 2.5, 3e9] })
      if (keep) times.push(performance.now() - start)
      if (reply.id !== id) throw new Error(`${peer} answered ${reply.id} to ${id}`)
    }
  }
  const lanes = (ms: number, keep: boolean) => {
    const end = performance.now() + ms
    return Promise.all(Array.from({ length: atOnce }, () => lane(end, keep)))
  }
  await lanes(ROUND_MS / 10, false)
  const start = performance.now()
  await lanes(ROUND_MS, true)
  const seconds = (performance.now() - start) / 1000
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.floor(times.length * share)]! * 1000
  return { peer, atOnce, perSecond: times.length / seconds, p50: at(0.5), p99: at(0.99) }
}

/** Replies of a socket come in the order of requests. */
function overSocket(socket: Socket): Ask {
  const waiting: ((message: Message) => void)[] = []
  createInterface({ input: socket }).on('line', (line) => waiting.shift()!(JSON.parse(line) as Message))
  return (message) =>
    new Promise((resolve) => {
      waiting.push(resolve)
      socket.write(`${JSON.stringify(message)}\n`)
    })
}

function overIpc(child: ChildProcess): Ask {
  const waiting: ((message: Message) => void)[] = []
  child.on('message', (message) => waiting.shift()!(message as Message))
  return (message) =>
    new Promise((resolve) => {
      waiting.push(resolve)
      child.send(message)
    })
}

function show(figures: Figures[], asJson: boolean): void {
  if (asJson) return console.log(JSON.stringify({ node: process.version, cpu: cpus()[0]?.model, figures }))
  console.log(`median of ${ROUNDS} rounds, ${availableParallelism()} cores, Node ${process.version}`)
  row(['', 'at once', 'requests/s', 'p50 us', 'p99 us'])
  for (const { peer, atOnce, perSecond, p50, p99 } of figures) {
    row([peer, atOnce, Math.round(perSecond), p50.toFixed(1), p99.toFixed(1)])
  }
}

function row(cells: (string | number)[]): void {
  console.log(cells.map((cell, i) => (i === 0 ? `${cell}`.padEnd(34) : `${cell}`.padStart(12))).join(''))
}
