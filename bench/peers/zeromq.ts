import { join } from 'node:path'
import { absentPeer, requirePeer } from '../lib/packages.js'
import type { End, Link, Transport } from './transport.js'

/** What is used of the package. */
interface ZeroMq {
  readonly Push: new (options: object) => Socket
  readonly Pull: new (options: object) => Socket
}

interface Socket extends AsyncIterable<[Uint8Array]> {
  bind(address: string): Promise<void>
  connect(address: string): void
  send(message: Uint8Array): Promise<void>
  close(): void
}

const IN_FLIGHT_BYTES = 64 * 2 ** 20

/** PUSH and PULL sockets over `ipc://`, a pair for each direction. */
export const zeromq: Transport = {
  name: 'zeromq ipc://',
  absent: () => absentPeer('zeromq'),
  near: async (link) => {
    const { there, back, end } = open(link, 'near')
    await Promise.all([there.bind(address(link, 'there')), back.bind(address(link, 'back'))])
    return end
  },
  far: async (link) => {
    const { there, back, end } = open(link, 'far')
    there.connect(address(link, 'there'))
    back.connect(address(link, 'back'))
    return end
  },
}

function open({ bytes }: Link, side: 'near' | 'far'): { there: Socket; back: Socket; end: End } {
  const { Push, Pull } = requirePeer<ZeroMq>('zeromq')
  const highWater = Math.max(2, Math.min(1000, Math.floor(IN_FLIGHT_BYTES / bytes)))
  const out = new Push({ sendHighWaterMark: highWater, linger: 0 })
  const back = new Pull({ receiveHighWaterMark: highWater })
  const end: End = {
    send: (message) => out.send(message),
    receive: (handler) => void drain(back, handler),
    close() {
      out.close()
      back.close()
    },
  }
  return side === 'near' ? { there: out, back, end } : { there: back, back: out, end }
}

function address({ folder }: Link, name: string): string {
  return `ipc://${join(folder, name)}`
}

async function drain(socket: Socket, handler: (message: Uint8Array) => void): Promise<void> {
  for await (const [message] of socket) handler(message)
}
