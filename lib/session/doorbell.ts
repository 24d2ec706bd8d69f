import { closeSync } from 'node:fs'
import type { OnReadOpts, SocketConstructorOpts } from 'node:net'
import { connect, Socket } from 'node:net'

/** A pipe that becomes readable when this participant is woken, read by the event loop. */
export interface Doorbell {
  /** Says whether it keeps the process alive. */
  hold(held: boolean): void
  close(): void
}

/**
 * Reads from the other end of the doorbell: a descriptor, which is its own from now on, or a pipe at a path. It does not keep the process
 * alive yet.
 */
export function openDoorbell(end: number | string, onWake: () => void, onError: (error: Error) => void): Doorbell {
  const opensStream = typeof end === 'number' && 'bun' in process.versions
  return opensStream ? new StreamDoorbell(end, onWake, onError) : new SocketDoorbell(end, onWake, onError)
}

class SocketDoorbell implements Doorbell {
  readonly #socket: Socket
  #held = false

  constructor(end: number | string, onWake: () => void, onError: (error: Error) => void) {
    const callback = () => {
      onWake()
      return true
    }
    const onread: OnReadOpts = { buffer: new Uint8Array(64), callback }
    if (typeof end === 'number') {
      const options: SocketConstructorOpts & { onread: OnReadOpts } = {
        fd: end,
        readable: true,
        writable: false,
        onread,
      }
      this.#socket = new Socket(options)
    } else {
      // The pipe says nothing of what was before.
      this.#socket = connect({ path: end, onread }, onWake)
    }
    this.#socket.on('error', onError)
    this.#socket.unref()
  }

  hold(held: boolean): void {
    if (held === this.#held) return
    this.#held = held
    if (held) this.#socket.ref()
    else this.#socket.unref()
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** The part of Bun that reads pipes. */
declare const Bun: { file(fd: number): { stream(): ReadableStream<Uint8Array> } }

/** How often it is looked, without a wait, whether somebody has died. Milliseconds. */
const LOOK_PERIOD_MS = 100

/**
 * For Bun, whose sockets read no pipes. Its streams do, and keep the process alive as long as they are read: so that is done while
 * somebody waits. Otherwise only reports can come, which are looked for now and then.
 */
class StreamDoorbell implements Doorbell {
  readonly #fd: number
  readonly #onWake: () => void
  readonly #onError: (error: Error) => void
  /** None while a reader hears what comes. */
  #timer: NodeJS.Timeout | undefined
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  #closed = false

  constructor(fd: number, onWake: () => void, onError: (error: Error) => void) {
    this.#fd = fd
    this.#onWake = onWake
    this.#onError = onError
    this.#lookNowAndThen()
  }

  hold(held: boolean): void {
    if (this.#closed || held === (this.#reader !== undefined)) return
    if (held) {
      const reader = Bun.file(this.#fd).stream().getReader()
      this.#reader = reader
      clearInterval(this.#timer)
      this.#listen(reader).catch((error: unknown) => {
        if (this.#reader === reader) this.#onError(error as Error)
      })
    } else {
      this.#stop().catch(this.#onError)
      this.#lookNowAndThen()
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#timer)
    this.#stop()
      .then(() => closeSync(this.#fd))
      .catch(this.#onError)
  }

  #lookNowAndThen(): void {
    this.#timer = setInterval(this.#onWake, LOOK_PERIOD_MS).unref()
  }

  async #stop(): Promise<void> {
    const reader = this.#reader
    this.#reader = undefined
    await reader?.cancel()
  }

  async #listen(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    while (!(await reader.read()).done) this.#onWake()
  }
}
