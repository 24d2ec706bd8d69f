import type { OnReadOpts, SocketConstructorOpts } from 'node:net'
import { Socket } from 'node:net'

/** A pipe that becomes readable when this participant is rung, heard by the event loop. */
export class Doorbell {
  readonly #socket: Socket
  #held = false

  constructor(fd: number, onRing: () => void, onError: (error: Error) => void) {
    const callback = () => {
      onRing()
      return true
    }
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      fd,
      readable: true,
      writable: false,
      onread: { buffer: new Uint8Array(64), callback },
    }
    this.#socket = new Socket(options)
    this.#socket.on('error', onError)
    this.#socket.unref()
  }

  /** Whether the doorbell keeps the process alive. */
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
