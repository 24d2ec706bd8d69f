import type { PathLike } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { NetConnectOpts, OnReadOpts, SocketConstructorOpts } from 'node:net'
import { connect, Socket } from 'node:net'
import { onAbort } from '../session/cancel.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { invalidArgument, MillraceError } from '../errors.js'
import { MAX_BUFFER_BYTES } from '../native/generated/limits.js'
import type { ShmManager } from '../domain/manager.js'
import { checkInteger, checkObject, checkSignal } from '../options.js'

/** Options of everything that reads into pool buffers. */
export interface IngestOptions {
  /** Size of the buffers. Default: 64 KiB. */
  bytes?: number
  /** Buffers that may be filled before they are asked for; then the source is paused. Default: 4. */
  ahead?: number
  /** Ends the iteration with the signal's reason. */
  signal?: AbortSignal
}

/** Options of {@link fromFile}. */
export interface FileOptions extends IngestOptions {
  /** Where to begin, in bytes. Default: 0. */
  start?: number
  /** Where to end, in bytes, itself not read. Default: the end that the file has when reading begins. */
  end?: number
}

/** Options of {@link readInto}. */
export interface ReadOptions {
  /** Where in the file, in bytes. Default: where the last read ended. */
  position?: number
  /** Bytes to read at most. Default: the capacity of the buffer. */
  bytes?: number
}

/** What arrives on a socket: an iterator over buffers, each released at the end of its turn. */
export interface SocketSource extends AsyncIterableIterator<BufferPtr, undefined> {
  /** The socket, to write to or to end. Do not read from it, pause or resume it. */
  readonly socket: Socket
  /** Destroys the socket. */
  return(): Promise<IteratorResult<BufferPtr, undefined>>
}

/**
 * Reads from `file` straight into `buffer`, and sets its length.
 * @returns bytes read; 0 at the end of the file
 */
export async function readInto(file: FileHandle, buffer: BufferPtr, options: ReadOptions = {}): Promise<number> {
  const { position = null, bytes = buffer.capacity } = checkObject('options', options)
  buffer.length = checkInteger('bytes', bytes, 0, buffer.capacity)
  const { bytesRead } = await file.read(buffer.bytes, 0, bytes, position)
  buffer.length = bytesRead
  return bytesRead
}

/**
 * The content of a file in pool buffers, in order, without a copy on the way: all of `bytes` but the last. Each is released at the
 * end of its turn; send it to hand it on, `share()` it to keep it. Up to `ahead` are read at once. A handle is left open. What is
 * no regular file, such as a pipe, is read as it comes. While the pool is exhausted, reading waits.
 */
export async function* fromFile(
  shm: ShmManager,
  file: PathLike | FileHandle,
  options: FileOptions = {},
): AsyncGenerator<BufferPtr, void, undefined> {
  const { bytes, ahead, signal } = checkIngest(options)
  const start = checkInteger('start', options.start ?? 0, 0, Number.MAX_SAFE_INTEGER)
  const limit = checkInteger('end', options.end ?? Number.MAX_SAFE_INTEGER, start, Number.MAX_SAFE_INTEGER)
  const own = isHandle(file) ? undefined : await open(file)
  const handle = own ?? (file as FileHandle)
  const reads: Promise<BufferPtr>[] = []
  try {
    const stat = await handle.stat()
    const end = stat.isFile() ? Math.min(limit, stat.size) : limit
    const positioned = stat.isFile()
    for (let next = start; ;) {
      while (reads.length < (positioned ? ahead : 1) && next < end) {
        const size = Math.min(bytes, end - next)
        const read = fill(shm, handle, size, positioned ? next : null, signal)
        // Whoever leaves the loop does not wait for it.
        read.catch(() => {})
        reads.push(read)
        next += positioned ? size : 0
      }
      using buffer = await reads.shift()
      signal?.throwIfAborted()
      if (buffer === undefined || buffer.length === 0) return
      yield buffer
    }
  } finally {
    for (const read of await Promise.allSettled(reads)) if (read.status === 'fulfilled') read.value.release()
    await own?.close()
  }
}

/**
 * What arrives on a socket in pool buffers, without a copy on the way: the kernel writes into them. `source` says where to connect
 * to, or is a socket that nobody has read from, such as `net.createServer({ pauseOnConnect: true })` hands out; that object
 * is taken over and another is used, `.socket` of the result. One buffer is filled by each read, at most `bytes`, often less. While
 * `ahead` buffers wait, or the pool is exhausted, the socket is paused, and so in the end its peer. Ends with the other side's end,
 * throws what the socket fails with; leaving the loop destroys the socket.
 */
export function fromSocket(
  shm: ShmManager,
  source: NetConnectOpts | Socket,
  options: IngestOptions = {},
): SocketSource {
  return new SocketBuffers(shm, source, checkIngest(options))
}

interface Checked {
  bytes: number
  ahead: number
  signal: AbortSignal | undefined
}

interface Turn {
  resolve(result: IteratorResult<BufferPtr, undefined>): void
  reject(error: unknown): void
}

/** Most bytes of the one read that is copied each time the pool was exhausted: Node must have some place before there is one. */
const SCRATCH_BYTES = 4096

class SocketBuffers implements SocketSource {
  readonly socket: Socket
  readonly #shm: ShmManager
  readonly #options: Checked
  readonly #scratch: Uint8Array
  readonly #filled: BufferPtr[] = []
  readonly #turns: Turn[] = []
  readonly #ending = new AbortController()
  /** The buffer that the next read goes into; none while the pool is exhausted. */
  #target: BufferPtr | undefined
  #current: BufferPtr | undefined
  #failure: { error: unknown } | undefined
  #ended = false

  constructor(shm: ShmManager, source: NetConnectOpts | Socket, options: Checked) {
    this.#shm = shm
    this.#options = options
    this.#scratch = new Uint8Array(Math.min(options.bytes, SCRATCH_BYTES))
    this.#target = shm.allocate(options.bytes)
    const onread: OnReadOpts = {
      buffer: () => this.#target?.bytes ?? this.#scratch,
      callback: (count, buffer) => this.#arrived(count, buffer),
    }
    try {
      this.socket = source instanceof Socket ? adopt(source, onread) : connect({ ...source, onread })
    } catch (error) {
      this.#target.release()
      throw error
    }
    this.socket.once('end', () => this.#finish())
    this.socket.once('error', (error) => this.#finish({ error }))
    this.socket.once('close', () => this.#finish())
    // Otherwise the end is not told.
    this.socket.resume()
    const { signal } = options
    if (signal !== undefined) {
      const off = onAbort(signal, () => this.#abort(signal))
      this.socket.once('close', off)
    }
  }

  next(): Promise<IteratorResult<BufferPtr, undefined>> {
    this.#release()
    return new Promise((resolve, reject) => {
      this.#turns.push({ resolve, reject })
      this.#deliver()
    })
  }

  async return(): Promise<IteratorResult<BufferPtr, undefined>> {
    this.#release()
    this.socket.destroy()
    this.#finish()
    for (const buffer of this.#filled.splice(0)) buffer.release()
    this.#failure = undefined
    this.#deliver()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Takes what a read has brought. False: the socket is to pause. */
  #arrived(count: number, bytes: Uint8Array): boolean {
    const target = this.#target
    if (target === undefined || this.#ended) return false
    if (bytes === this.#scratch) target.bytes.set(bytes.subarray(0, count))
    target.length = count
    this.#filled.push(target)
    this.#target = this.#tryAllocate()
    this.#deliver()
    if (this.#target === undefined) void this.#allocateLater()
    return this.#target !== undefined && this.#filled.length < this.#options.ahead
  }

  #tryAllocate(): BufferPtr | undefined {
    try {
      return this.#shm.allocate(this.#options.bytes)
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'ERR_MILLRACE_EXHAUSTED') return undefined
      this.socket.destroy(error as Error)
      return undefined
    }
  }

  async #allocateLater(): Promise<void> {
    try {
      const buffer = await this.#shm.allocateAsync(this.#options.bytes, { signal: this.#ending.signal })
      if (this.#ended) return buffer.release()
      this.#target = buffer
      this.#resume()
    } catch (error) {
      if (!this.#ended) this.socket.destroy(error as Error)
    }
  }

  #resume(): void {
    if (!this.#ended && this.#target !== undefined && this.#filled.length < this.#options.ahead) this.socket.resume()
  }

  #deliver(): void {
    while (this.#turns.length > 0) {
      const value = this.#filled.shift()
      if (value !== undefined) {
        this.#current = value
        this.#turns.shift()!.resolve({ value, done: false })
        this.#resume()
        continue
      }
      if (!this.#ended) return
      const turn = this.#turns.shift()!
      const failure = this.#failure
      this.#failure = undefined
      if (failure === undefined) turn.resolve({ value: undefined, done: true })
      else turn.reject(failure.error)
    }
  }

  #abort(signal: AbortSignal): void {
    this.socket.destroy()
    this.#finish({ error: signal.reason })
  }

  /** Nothing more comes: the buffer that waits for it goes back. */
  #finish(failure?: { error: unknown }): void {
    if (this.#ended) return
    this.#ended = true
    this.#failure = failure
    this.#ending.abort()
    this.#target?.release()
    this.#target = undefined
    this.#deliver()
  }

  #release(): void {
    this.#current?.release()
    this.#current = undefined
  }
}

/** What of a net.Socket has no public name: child_process hands sockets over in the same way. */
interface Inside {
  ['_handle']: { reading?: boolean } | null
  ['_server']: object | null
}

/** Node fixes where a socket reads to when it makes it, so one that exists gives its connection to a new one. */
function adopt(socket: Socket, onread: OnReadOpts): Socket {
  const inside = socket as Socket & Inside
  const { _handle: handle, _server: server } = inside
  if (!handle || handle.reading === true) {
    throw invalidArgument('a socket to read from', 'open, and one that nobody has read from (pauseOnConnect)', socket)
  }
  const options = { handle, onread, allowHalfOpen: socket.allowHalfOpen } as SocketConstructorOpts
  const adopted = new Socket(options)
  // The server counts its connections.
  Object.assign(adopted, { server, _server: server })
  Object.assign(inside, { _handle: null, _server: null })
  return adopted
}

async function fill(
  shm: ShmManager,
  file: FileHandle,
  bytes: number,
  position: number | null,
  signal: AbortSignal | undefined,
): Promise<BufferPtr> {
  const buffer = await shm.allocateAsync(bytes, signal && { signal })
  try {
    buffer.length = bytes
    let filled = 0
    // A read of a regular file may be cut short by a signal; any other brings what there is.
    while (filled < bytes) {
      const at = position === null ? null : position + filled
      const { bytesRead } = await file.read(buffer.bytes, filled, bytes - filled, at)
      filled += bytesRead
      if (bytesRead === 0 || position === null) break
    }
    buffer.length = filled
    return buffer
  } catch (error) {
    buffer.release()
    throw error
  }
}

function isHandle(file: PathLike | FileHandle): file is FileHandle {
  return typeof file === 'object' && 'read' in file && typeof file.read === 'function'
}

function checkIngest(options: IngestOptions): Checked {
  const { bytes = 64 * 1024, ahead = 4, signal } = checkObject('options', options)
  checkInteger('bytes', bytes, 1, MAX_BUFFER_BYTES)
  checkInteger('ahead', ahead, 1, 1024)
  checkSignal(signal)?.throwIfAborted()
  return { bytes, ahead, signal }
}
