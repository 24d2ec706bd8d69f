import { once } from 'node:events'
import type { MessagePort, Worker } from 'node:worker_threads'
import type { End, Transport } from './transport.js'

/**
 * Two rings in a SharedArrayBuffer, one for each direction, between a process and its worker thread: what one writes by hand.
 * One producer, one consumer; slots of fixed size; sleeping by `Atomics.waitAsync`.
 */
export const atomicsRing: Transport = {
  name: 'SharedArrayBuffer ring (threads)',
  place: 'worker',
  near: async ({ channel, bytes }) => {
    const memory = [0, 1].map(() => new SharedArrayBuffer(ringBytes(bytes)))
    const worker = channel as Worker
    // The worker says when it listens.
    await once(worker, 'message')
    worker.postMessage(memory)
    return open(new Ring(memory[0]!, bytes), new Ring(memory[1]!, bytes))
  },
  far: async ({ channel, bytes }) => {
    const port = channel as MessagePort
    const memory = once(port, 'message') as Promise<[SharedArrayBuffer[]]>
    port.postMessage('listening')
    const [[there, back]] = (await memory) as [[SharedArrayBuffer, SharedArrayBuffer]]
    return open(new Ring(back, bytes), new Ring(there, bytes))
  },
}

const HEADER_WORDS = 64
/** Words on cache lines of their own: who writes which is what matters. */
const TAIL = 0
const HEAD = 16
const SLEEPING_RECEIVER = 32
const SLEEPING_SENDER = 48
const RING_BYTES = 64 * 2 ** 20

function slotsOf(bytes: number): number {
  return Math.max(2, Math.min(1024, 2 ** Math.floor(Math.log2(RING_BYTES / bytes))))
}

function ringBytes(bytes: number): number {
  return HEADER_WORDS * 4 + slotsOf(bytes) * (4 + bytes)
}

class Ring {
  readonly words: Int32Array
  readonly #lengths: Int32Array
  readonly #payload: Uint8Array
  readonly #slots: number
  readonly #bytes: number
  #tail = 0
  #head = 0
  /** The other side's position as it was last seen: looked up again only when it seems to stand in the way. */
  #seen = 0

  constructor(memory: SharedArrayBuffer, bytes: number) {
    this.#slots = slotsOf(bytes)
    this.#bytes = bytes
    this.words = new Int32Array(memory, 0, HEADER_WORDS)
    this.#lengths = new Int32Array(memory, HEADER_WORDS * 4, this.#slots)
    this.#payload = new Uint8Array(memory, HEADER_WORDS * 4 + this.#slots * 4)
  }

  tryPush(message: Uint8Array): boolean {
    if (this.#tail - this.#seen >= this.#slots) {
      this.#seen = Atomics.load(this.words, HEAD)
      if (this.#tail - this.#seen >= this.#slots) return false
    }
    const slot = this.#tail & (this.#slots - 1)
    this.#payload.set(message, slot * this.#bytes)
    this.#lengths[slot] = message.length
    Atomics.store(this.words, TAIL, ++this.#tail)
    this.#wake(SLEEPING_RECEIVER)
    return true
  }

  /** Hands out views of the slots, up to `max`, and frees them when all have been looked at. */
  pop(handler: (message: Uint8Array) => void, max: number): number {
    const available = Math.min(Atomics.load(this.words, TAIL) - this.#head, max)
    for (let i = 0; i < available; i++) {
      const slot = (this.#head + i) & (this.#slots - 1)
      const { buffer, byteOffset } = this.#payload
      handler(new Uint8Array(buffer, byteOffset + slot * this.#bytes, this.#lengths[slot]))
    }
    if (available > 0) {
      this.#head += available
      Atomics.store(this.words, HEAD, this.#head)
      this.#wake(SLEEPING_SENDER)
    }
    return available
  }

  /** Undefined: do not sleep, there is something to do. */
  sleepReceiver(): Promise<unknown> | undefined {
    return this.#sleep(SLEEPING_RECEIVER, () => Atomics.load(this.words, TAIL) > this.#head)
  }

  /** The same for room. */
  sleepSender(): Promise<unknown> | undefined {
    return this.#sleep(SLEEPING_SENDER, () => this.#tail - Atomics.load(this.words, HEAD) < this.#slots)
  }

  #sleep(word: number, ready: () => boolean): Promise<unknown> | undefined {
    Atomics.store(this.words, word, 1)
    if (ready()) {
      Atomics.store(this.words, word, 0)
      return undefined
    }
    const wait = Atomics.waitAsync(this.words, word, 1)
    return wait.async ? wait.value : undefined
  }

  #wake(word: number): void {
    if (Atomics.load(this.words, word) === 0) return
    Atomics.store(this.words, word, 0)
    Atomics.notify(this.words, word)
  }
}

function open(out: Ring, back: Ring): End {
  let closed = false
  return {
    send: (message) => (out.tryPush(message) ? undefined : pushLater(out, message)),
    receive: (handler) => void drain(back, handler, () => closed),
    close() {
      closed = true
      Atomics.notify(back.words, SLEEPING_RECEIVER)
    },
  }
}

async function pushLater(ring: Ring, message: Uint8Array): Promise<void> {
  while (!ring.tryPush(message)) await ring.sleepSender()
}

async function drain(ring: Ring, handler: (message: Uint8Array) => void, isClosed: () => boolean): Promise<void> {
  while (!isClosed()) if (ring.pop(handler, 256) === 0) await ring.sleepReceiver()
}
