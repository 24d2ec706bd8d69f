import type { NetConnectOpts, OnReadOpts, Socket } from 'node:net'
import { connect } from 'node:net'
import type { SharedBufferAllocator } from '../memory/allocator.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import { checkOptions } from '../check.js'
import { invalidArgument } from '../errors.js'
import { limitsOf } from '../session/limits.js'
import { PullIterator } from '../session/pull-iterator.js'
import { detach, isSocket } from './adopt.js'
import { Arrivals } from './arrivals.js'
import type { BufferOwner, IngestOptions, IngestSettings } from './options.js'
import { allocatorOf, checkIngest, INGEST_OPTIONS } from './options.js'

/** What arrives on a socket: an iterator over buffers, each released at the end of its turn. */
export interface SocketSource extends AsyncIterableIterator<BufferPtr, undefined> {
  /** The socket, to write to or to end. Do not read from it, pause or resume it. */
  readonly socket: Socket
  /** Destroys the socket, unless its other side has ended and all that came has been taken. */
  return(): Promise<IteratorResult<BufferPtr, undefined>>
}

/**
 * What arrives on a socket in pool buffers, without a copy on the way: the kernel writes into them. `source` says where to connect
 * to, or is a connected socket, such as `net.createServer({ pauseOnConnect: true })` hands out; that object is taken over and another
 * is used, `.socket` of the result. Bytes that it has received and not handed out come first. Its listeners and timeouts do not move.
 * One buffer is filled by each read, at most `bytes`, often less. While `prefetch` buffers wait, or the pool is exhausted, the socket
 * is paused, and so in the end its peer. Ends with the other side's end, throws what the socket fails with; leaving the loop, or closing
 * the manager, destroys the socket, and so ends the loop.
 * @throws {@link MillraceError} `ERR_MILLRACE_INVALID_ARGUMENT`, also for a socket that cannot be taken over, which is left as it is:
 * one of TLS, one that somebody reads from, one that has not written all that it was given; `ERR_MILLRACE_UNSUPPORTED` for any socket on Bun,
 * which hands none over
 */
export function fromSocket(
  shm: BufferOwner,
  source: NetConnectOpts | Socket,
  options: IngestOptions = {},
): SocketSource {
  const settings = checkIngest(checkOptions('fromSocket', options, INGEST_OPTIONS))
  return new SocketIterator(new SocketReads(allocatorOf(shm), source, settings))
}

/** @throws unless `source` says where to connect to */
function checkTarget(source: NetConnectOpts): NetConnectOpts {
  const { port, path } = (source ?? {}) as { port?: unknown; path?: unknown }
  if (port !== undefined || path !== undefined) return source
  throw invalidArgument('the source of fromSocket', 'a socket, or where to connect to: { port } or { path }', source)
}

class SocketIterator extends PullIterator<BufferPtr> implements SocketSource {
  readonly socket: Socket

  constructor(reads: SocketReads) {
    super(reads)
    this.socket = reads.socket
  }
}

/** Most bytes of the one read that is copied each time the pool was exhausted: Node must have some place before there is one. */
const SCRATCH_BYTES = 4096

/** A buffer that the next read goes into. Its view is kept: asking for it may throw, and what Node calls must not. */
interface Target {
  readonly buffer: BufferPtr
  readonly bytes: Uint8Array
}

/** The reads of one socket. */
class SocketReads extends Arrivals {
  readonly socket: Socket
  readonly #scratch: Uint8Array
  /** Bytes that have come and are not in a buffer yet. The socket is paused as long as there are any. */
  readonly #backlog: Uint8Array[] = []
  /** None while the pool is exhausted. */
  #target: Target | undefined
  #allocating = false

  constructor(allocator: SharedBufferAllocator, source: NetConnectOpts | Socket, settings: IngestSettings) {
    super(allocator, settings)
    this.#scratch = new Uint8Array(Math.min(settings.bytes, SCRATCH_BYTES))
    this.#target = this.#tryAllocate()
    const onread: OnReadOpts = {
      // What the backlog is put into must not be read into.
      buffer: () => (this.#backlog.length === 0 && this.#target?.bytes) || this.#scratch,
      callback: (count, bytes) => this.#arrived(count, bytes),
    }
    try {
      this.socket = isSocket(source) ? this.#takeOver(source, onread) : connect({ ...checkTarget(source), onread })
    } catch (error) {
      this.#releaseTarget()
      throw error
    }
    this.socket.on('error', (error) => this.#end({ error }))
    this.socket.once('end', () => this.#end())
    this.socket.once('close', () => this.#end())
    this.socket.pause()
    // As a loop over any socket that is destroyed here.
    this.listen(() => this.drop())
    this.refill()
  }

  /** Puts the backlog into buffers, then lets the socket read on. */
  protected override refill(): void {
    while (!this.ended) {
      // Also while there is no room: the next read goes where Node is told to after this one.
      this.#target ??= this.#allocate()
      if (this.#target === undefined || this.room === 0) return
      const bytes = this.#backlog.shift()
      if (bytes === undefined) {
        this.socket.resume()
        return
      }
      const { length } = this.#target.bytes
      if (bytes.length > length) this.#backlog.unshift(bytes.subarray(length))
      const piece = bytes.subarray(0, length)
      this.#target.bytes.set(piece)
      this.#pushTarget(piece.length)
    }
  }

  protected override stop(early: boolean): void {
    if (early) this.socket.destroy()
    this.#releaseTarget()
  }

  #takeOver(source: Socket, onread: OnReadOpts): Socket {
    const { received, attach } = detach(source)
    this.#backlog.push(...received)
    return attach(onread)
  }

  /** Takes what a read has brought. False: the socket is to pause. */
  #arrived(count: number, bytes: Uint8Array): boolean {
    if (this.ended) return false
    try {
      if (bytes === this.#target?.bytes) this.#pushTarget(count)
      else this.#backlog.push(bytes.slice(0, count))
      this.refill()
    } catch (error) {
      this.#fail(error)
    }
    return this.room > 0 && this.#target !== undefined
  }

  #pushTarget(length: number): void {
    const { buffer } = this.#target!
    buffer.length = length
    this.#target = undefined
    this.push(buffer)
  }

  #tryAllocate(): Target | undefined {
    const buffer = this.allocator.tryAllocate(this.settings.bytes)
    return buffer === null ? undefined : { buffer, bytes: buffer.bytes }
  }

  /** A buffer for the next read. While there is none, waits for one in the background, and then goes on. */
  #allocate(): Target | undefined {
    if (this.#allocating) return undefined
    try {
      const target = this.#tryAllocate()
      if (target !== undefined) return target
    } catch (error) {
      this.#fail(error)
      return undefined
    }
    this.#allocating = true
    const arrive = (buffer: BufferPtr) => {
      this.#allocating = false
      if (this.ended) return discard(buffer)
      this.#target = { buffer, bytes: buffer.bytes }
      this.refill()
    }
    const limits = limitsOf(undefined, this.cancel)
    this.allocator
      .allocateWithin(this.settings.bytes, limits)
      .then(arrive)
      .catch((error: unknown) => this.#fail(error))
    return undefined
  }

  /** The socket brings nothing more. */
  #end(failure?: { readonly error: unknown }): void {
    this.finish(failure)
    this.#releaseTarget()
  }

  /** The socket cannot be read on. After the end, of no interest any more. */
  #fail(error: unknown): void {
    if (this.ended) return
    this.#end({ error })
    this.socket.destroy()
  }

  #releaseTarget(): void {
    discard(this.#target?.buffer)
    this.#target = undefined
  }
}
