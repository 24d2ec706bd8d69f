import type { Channel } from '../lib/control.js'

/**
 * A way to get messages from one program to another: one file in this folder, one line in `index.ts`. The suite starts two
 * processes (or a process and a worker thread), calls `near` in the first and at once `far` in the second, awaits both, and
 * lets each use its end.
 */
export interface Transport {
  readonly name: string
  /** Where the far side runs. Default: another process. */
  readonly place?: 'process' | 'worker'
  /** How `child_process` encodes what goes through the channel between the two. Default: `advanced`. */
  readonly serialization?: 'json' | 'advanced'
  /** Added to the environment of both processes. */
  readonly environment?: NodeJS.ProcessEnv
  /** Answers why it cannot run here, or nothing. */
  absent?(): Promise<string | undefined>
  /**
   * The end of the side that was started first, and that sends what is streamed. What `far` cannot wait for by itself must be
   * there when this returns its promise; the promise may wait for the far side.
   */
  near(link: Link): Promise<End>
  /** The end of the other side. */
  far(link: Link): Promise<End>
}

/** What both ends are given to find each other. */
export interface Link {
  /** An empty folder of this pair alone. Sockets and the like go there; it is removed afterwards. */
  readonly folder: string
  /** Size of the messages, in bytes. */
  readonly bytes: number
  /** The channel between the two programs, which also carries the suite's own requests before and after the timed part. */
  readonly channel: Channel
}

/** One side of a transport. */
export interface End {
  /**
   * Sends one message. A promise: the sender must wait before it sends more. The bytes do not change any more, so a
   * transport need not copy them if the receiver gets its own.
   */
  send(message: Uint8Array): Promise<void> | void
  /** Sends messages in order, in the way that this transport is fastest at. Default: one by one. */
  sendMany?(messages: readonly Uint8Array[]): Promise<void>
  /** What was sent and is still held back to be sent together with more, goes out now. */
  flush?(): Promise<void> | void
  /** Calls `handler` for each message, with bytes that can be read at least as long as that takes. */
  receive(handler: (message: Uint8Array) => void): void
  /** CPU time of helper processes, such as a server, in s. */
  helpersCpuSeconds?(): number
  close(): Promise<void> | void
}
