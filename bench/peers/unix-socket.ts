import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { FrameParser, HEADER_BYTES } from './frames.js'
import type { End, Link, Transport } from './transport.js'

/** Larger messages are not copied to follow their header in one piece: two pieces in one system call cost less. */
const COPY_BYTES_MAX = 16 * 2 ** 10

/** A frame per message: 4 bytes of length, then the message; each goes out at once. */
export const unixSocket: Transport = {
  name: 'Unix socket, frames',
  near: (link) => listen(link, framed),
  far: (link) => dial(link, framed),
}

/** What the system is given at once when frames are collected by hand. */
const BATCH_BYTES = 64 * 2 ** 10

/** The same frames, collected by hand until there are 64 KiB. The receiver cuts them apart again. */
export const unixSocketBatched: Transport = {
  name: 'Unix socket, hand-batched',
  near: (link) => listen(link, batched),
  far: (link) => dial(link, batched),
}

type Sending = Pick<End, 'send' | 'flush'>

function framed(socket: Socket): Sending {
  return { send: (message) => sendFrame(socket, message) }
}

function sendFrame(socket: Socket, message: Uint8Array): Promise<void> | void {
  const { length } = message
  let proceed: boolean
  if (length <= COPY_BYTES_MAX) {
    const frame = Buffer.allocUnsafe(HEADER_BYTES + length)
    frame.writeUInt32LE(length)
    frame.set(message, HEADER_BYTES)
    proceed = socket.write(frame)
  } else {
    const header = Buffer.allocUnsafe(HEADER_BYTES)
    header.writeUInt32LE(length)
    socket.cork()
    socket.write(header)
    proceed = socket.write(message)
    socket.uncork()
  }
  return proceed ? undefined : drained(socket)
}

function batched(socket: Socket): Sending {
  let batch = Buffer.allocUnsafe(BATCH_BYTES)
  let filled = 0
  const flush = (): Promise<void> | undefined => {
    if (filled === 0) return undefined
    const proceed = socket.write(batch.subarray(0, filled))
    // The socket may still be writing the old one.
    batch = Buffer.allocUnsafe(BATCH_BYTES)
    filled = 0
    return proceed ? undefined : drained(socket)
  }
  const send = (message: Uint8Array) => {
    const { length } = message
    if (HEADER_BYTES + length > BATCH_BYTES) return sendLarge(socket, flush, message)
    const wait = filled + HEADER_BYTES + length > BATCH_BYTES ? flush() : undefined
    batch.writeUInt32LE(length, filled)
    batch.set(message, filled + HEADER_BYTES)
    filled += HEADER_BYTES + length
    return wait
  }
  return { send, flush }
}

/** There is nothing to collect. */
async function sendLarge(socket: Socket, flush: () => Promise<void> | undefined, message: Uint8Array): Promise<void> {
  await flush()
  await sendFrame(socket, message)
}

async function drained(socket: Socket): Promise<void> {
  await once(socket, 'drain')
}

async function listen({ folder }: Link, sending: (socket: Socket) => Sending): Promise<End> {
  // The path is bound when `listen` returns.
  const server = createServer().listen(join(folder, 'socket'))
  const [socket] = (await once(server, 'connection')) as [Socket]
  server.close()
  return connected(socket, sending)
}

async function dial({ folder }: Link, sending: (socket: Socket) => Sending): Promise<End> {
  const socket = connect(join(folder, 'socket'))
  await once(socket, 'connect')
  return connected(socket, sending)
}

function connected(socket: Socket, sending: (socket: Socket) => Sending): End {
  return {
    ...sending(socket),
    receive(handler) {
      const parser = new FrameParser(handler)
      socket.on('data', (chunk: Buffer) => parser.push(chunk))
    },
    close: () => void socket.destroy(),
  }
}
