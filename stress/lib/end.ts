// Ends of what messages travel by, whatever that is.
import { hasCode } from '../../lib/errors.js'
import { type BufferPtr, SageQueue, ShmManager, type Size } from '../../index.js'
import type { Kind, ParticipantJob } from './jobs.js'

/** Where messages are sent. */
export interface Outlet {
  /** Sends a message of so many bytes, which `fill` writes; waits while there is no room. */
  send(bytes: number, fill: (bytes: Uint8Array) => void): Promise<void>
}

/** Both ends of what has a name. */
export interface End {
  outlet(): Outlet
  /** Messages until there will be none any more; each is done with when the next one is asked for. */
  messages(): AsyncIterable<Uint8Array>
  /** Nothing can be sent any more. */
  shut(): void
  /** Removes it. */
  destroy(): void
}

type Place = Pick<ParticipantJob, 'directory' | 'domain'>

/** A participant's managers: those of one kind of message are not opened for the other. */
export class Ends {
  readonly #place: Place
  readonly #maxBytes: Size | undefined
  readonly #sage: Disposable[] = []
  #shm: ShmManager | undefined

  constructor({ directory, domain }: Place, maxBytes?: Size) {
    this.#place = { directory, domain }
    this.#maxBytes = maxBytes
  }

  get shm(): ShmManager {
    const { domain, directory } = this.#place
    const maxBytes = this.#maxBytes
    this.#shm ??= ShmManager.open(domain, { directory, ...(maxBytes !== undefined && { maxBytes }) })
    return this.#shm
  }

  /** A SageQueue of the domain; for whoever calls this to close. */
  sage<T>(name: string, maxsize?: number): SageQueue<T> {
    return new SageQueue<T>(name, { ...this.#place, ...(maxsize !== undefined && { maxsize }) })
  }

  /** Values of SageQueue `name`, each finished when the next one is asked for, until it is shut. */
  sageValues<T>(name: string): AsyncIterable<T> {
    return valuesOf(this.#kept(this.sage<T>(name)))
  }

  /** What messages of that kind travel by: made, unless it is there. */
  open(kind: Kind, name: string, capacity: number): End {
    if (kind === 'sage') return this.#ofSage(name, capacity)
    return kind === 'queue' ? ofQueue(this.shm, name, capacity) : ofTopic(this.shm, name, capacity)
  }

  close(): void {
    for (const queue of this.#sage) queue[Symbol.dispose]()
    this.#shm?.close()
  }

  /** To be closed with this. */
  #kept<T>(queue: SageQueue<T>): SageQueue<T> {
    this.#sage.push(queue)
    return queue
  }

  #ofSage(name: string, maxsize: number): End {
    const queue = this.#kept(this.sage<Uint8Array>(name, maxsize))
    return {
      outlet: () => ({
        send(bytes, fill) {
          const value = new Uint8Array(bytes)
          fill(value)
          return queue.put(value)
        },
      }),
      messages: () => valuesOf(queue),
      shut: () => queue.shutdown(),
      destroy: () => queue.destroy(),
    }
  }
}

async function* valuesOf<T>(queue: SageQueue<T>): AsyncGenerator<T> {
  try {
    for (;;) {
      yield await queue.get()
      queue.taskDone()
    }
  } catch (error) {
    if (!hasCode(error, 'ERR_MILLRACE_CLOSED')) throw error
  }
}

function ofQueue(shm: ShmManager, name: string, capacity: number): End {
  const queue = shm.portQueue(name, { capacity })
  return {
    outlet: () => ofBuffers(shm, (buffer) => queue.send(buffer)),
    messages: () => bytesOf(queue),
    shut: () => queue.close(),
    destroy: () => queue.destroy(),
  }
}

function ofTopic(shm: ShmManager, name: string, capacity: number): End {
  const topic = shm.topic(name, {})
  return {
    outlet: () => ofBuffers(shm, (buffer) => topic.publish(buffer)),
    // Subscribed now, not when the first message is asked for.
    messages: () => bytesOf(topic.subscribe({ capacity })),
    shut: () => topic.close(),
    destroy: () => topic.destroy(),
  }
}

function ofBuffers(shm: ShmManager, put: (buffer: BufferPtr) => Promise<unknown>): Outlet {
  return {
    async send(bytes, fill) {
      const buffer = await shm.allocateAsync(bytes)
      fill(buffer.bytes)
      await put(buffer)
    },
  }
}

async function* bytesOf(source: AsyncIterable<{ bytes: Uint8Array }>): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of source) yield bytes
}
