import type { Channel } from '../lib/control.js'
import type { End, Link, Transport } from './transport.js'

/** The channel of `child_process.fork`, which carries JSON: bytes go as base64, which costs least there. */
export const ipcJson: Transport = {
  name: 'child_process IPC, json',
  serialization: 'json',
  near: async (link) => open(link, toText, fromText),
  far: async (link) => open(link, toText, fromText),
}

/** The same with structured clones, which carry bytes as they are. */
export const ipcAdvanced: Transport = {
  name: 'child_process IPC, advanced',
  near: async (link) => open(link, same, asBytes),
  far: async (link) => open(link, same, asBytes),
}

const toText = (message: Uint8Array) =>
  Buffer.from(message.buffer, message.byteOffset, message.length).toString('base64')
const fromText = (data: unknown) => (typeof data === 'string' ? Buffer.from(data, 'base64') : undefined)
const same = (message: Uint8Array) => message
const asBytes = (data: unknown) => (data instanceof Uint8Array ? data : undefined)

/** Messages that may wait in the channel before the sender waits for it to be written. */
const UNWRITTEN_MAX = 64

function open(
  { channel }: Link,
  encode: (message: Uint8Array) => string | Uint8Array,
  decode: (data: unknown) => Uint8Array | undefined,
): End {
  const process = channel as Extract<Channel, NodeJS.Process>
  let unwritten = 0
  let resume: (() => void) | undefined
  const written = () => {
    unwritten--
    resume?.()
    resume = undefined
  }
  return {
    send(message) {
      process.send!(encode(message), undefined, undefined, written)
      if (++unwritten < UNWRITTEN_MAX) return undefined
      return new Promise<void>((resolve) => (resume = resolve))
    },
    receive(handler) {
      process.on('message', (data: unknown) => {
        const message = decode(data)
        if (message !== undefined) handler(message)
      })
    },
    close: () => {},
  }
}
