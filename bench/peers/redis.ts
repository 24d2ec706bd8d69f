import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { absentPeer, requirePeer } from '../lib/packages.js'
import type { End, Link, Transport } from './transport.js'

/** What is used of the package. */
interface Redis {
  createClient(options: object): Client
  readonly RESP_TYPES: { readonly BLOB_STRING: number }
}

interface Client {
  connect(): Promise<Client>
  withTypeMapping(mapping: object): Client
  on(event: 'error', listener: () => void): void
  rPush(key: string, values: Buffer | Buffer[]): Promise<number>
  blmPop(timeout: number, keys: string[], side: 'LEFT', options: { COUNT: number }): Promise<[string, Buffer[]] | null>
  destroy(): void
}

/** A server of this pair alone, on a Unix socket, that saves nothing. Lists: RPUSH, pipelined, and BLMPOP of up to 256. */
export const redis: Transport = {
  name: 'redis, Unix socket',
  async absent() {
    if (spawnSync('redis-server', ['--version']).status !== 0) return 'no redis-server on PATH'
    return await absentPeer('@redis/client')
  },
  async near(link) {
    const path = join(link.folder, 'redis')
    const options = ['--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'no', '--dir', link.folder]
    const server = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'inherit'] })
    process.once('exit', () => server.kill())
    for await (const text of server.stdout.setEncoding('utf8')) if (/ready to accept/i.test(String(text))) break
    const end = await open(link, 'there', 'back')
    return {
      ...end,
      helpersCpuSeconds: () => cpuSecondsOf(server.pid!),
      async close() {
        await end.close()
        server.kill()
        await once(server, 'exit')
      },
    }
  },
  far: (link) => open(link, 'back', 'there'),
}

/** The list may grow as it likes: at most so much, and so many messages, are on their way to the server. */
const UNANSWERED_MAX = 1024
const UNANSWERED_BYTES_MAX = 64 * 2 ** 20

async function open({ folder, bytes: messageBytes }: Link, out: string, back: string): Promise<End> {
  const client = requirePeer<Redis>('@redis/client')
  // The far side comes before the server is ready, and tries again until it is.
  const socket = { path: join(folder, 'redis'), reconnectStrategy: 5 }
  const options = { socket, commandsQueueMaxLength: 2 * UNANSWERED_MAX }
  const clients = [client.createClient(options), client.createClient(options)]
  for (const each of clients) each.on('error', () => {})
  const [sender, receiver] = (await Promise.all(clients.map((each) => each.connect()))) as [Client, Client]
  const binary = receiver.withTypeMapping({ [client.RESP_TYPES.BLOB_STRING]: Buffer })
  const unansweredMax = Math.max(2, Math.min(UNANSWERED_MAX, Math.floor(UNANSWERED_BYTES_MAX / messageBytes)))
  let unanswered = 0
  let closed = false
  let resume: (() => void) | undefined
  const answered = () => {
    unanswered--
    resume?.()
    resume = undefined
  }
  return {
    send(message) {
      const bytes = Buffer.from(message.buffer, message.byteOffset, message.length)
      sender.rPush(out, bytes).then(answered, (error: unknown) => {
        if (!closed) throw error
      })
      if (++unanswered < unansweredMax) return undefined
      return new Promise<void>((resolve) => (resume = resolve))
    },
    receive: (handler) => void drain(handler),
    close() {
      closed = true
      for (const each of clients) each.destroy()
    },
  }

  async function drain(handler: (message: Uint8Array) => void): Promise<void> {
    try {
      for (;;)
        for (const message of (await binary.blmPop(0, [back], 'LEFT', { COUNT: 256 }))?.[1] ?? []) handler(message)
    } catch (error) {
      if (!closed) throw error
    }
  }
}

/** User and system time of another process so far. */
function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  const ticksPerSecond = 100
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}
