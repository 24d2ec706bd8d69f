import { type PortQueue, ShmManager, type Spin } from '../../index.js'
import type { End, Link, Transport } from './transport.js'

/** What is in flight at most, in bytes; queues are made as long as that allows. */
const IN_FLIGHT_BYTES = 256 * 2 ** 20

/** One call, and one turn of a callback, per message. */
export const millrace: Transport = {
  name: 'Millrace',
  near: async (link) => open(link, single),
  far: async (link) => open(link, single),
}

/** The same, and waits poll for what comes soon. */
export const millraceSpinning: Transport = {
  name: 'Millrace, spin auto',
  near: async (link) => open(link, single, 'auto'),
  far: async (link) => open(link, single, 'auto'),
}

/** 256 messages to a call and to a turn of the loop. */
export const millraceBatches: Transport = {
  name: 'Millrace, batches',
  near: async (link) => open(link, batches),
  far: async (link) => open(link, batches),
}

/** As where the runtime has no external ArrayBuffers: the receiver copies each message out. */
export const millraceCopies: Transport = {
  ...millrace,
  name: 'Millrace, copies',
  environment: { MILLRACE_EXTERNAL_BUFFERS: '0' },
}

type Style = (out: PortQueue, back: PortQueue) => Pick<End, 'send' | 'sendMany' | 'receive'>

const single: Style = (out, back) => ({
  send: (message) => (out.tryPut(message) ? undefined : out.put(message)),
  receive: (handler) => void untilClosed(back.consume((message) => handler(message.bytes))),
})

const batches: Style = (out, back) => ({
  send: (message) => out.put(message),
  sendMany: (messages) => out.putMany(messages),
  receive: (handler) => void untilClosed(drain(back, handler)),
})

async function drain(queue: PortQueue, handler: (message: Uint8Array) => void): Promise<void> {
  for await (const batch of queue.batches()) {
    for (let i = 0; i < batch.length; i++) handler(batch.bytes(i))
  }
}

function open({ folder, bytes }: Link, style: Style, spin: Spin = 0): End {
  const capacity = Math.max(4, Math.min(1024, 2 ** Math.floor(Math.log2(IN_FLIGHT_BYTES / bytes))))
  const shm = ShmManager.open('pair', { directory: folder, maxBytes: 8 * IN_FLIGHT_BYTES, spin })
  const queues = ['there', 'back'].map((name) => shm.portQueue(name, { capacity }))
  const [out, back] = shm.participant === 0 ? queues : queues.toReversed()
  return { ...style(out!, back!), close: () => shm.close() }
}

/** A loop that waits for a message when its manager closes ends with that. */
async function untilClosed(loop: Promise<void>): Promise<void> {
  try {
    await loop
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_MILLRACE_CLOSED') throw error
  }
}
