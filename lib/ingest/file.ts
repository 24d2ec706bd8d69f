import type { PathLike } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { SharedBufferAllocator } from '../memory/allocator.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import type { OptionNames } from '../check.js'
import { checkInteger, checkOptions } from '../check.js'
import { limitsOf } from '../session/limits.js'
import { PullIterator } from '../session/pull-iterator.js'
import { Arrivals } from './arrivals.js'
import type { BufferOwner, IngestOptions, IngestSettings } from './options.js'
import { allocatorOf, checkIngest, INGEST_OPTIONS } from './options.js'

/** Options of {@link fromFile}. */
export interface FileOptions extends IngestOptions {
  /** Where to begin, in bytes. Of what cannot be read at a position, such as a pipe, so many are skipped. Default: 0. */
  start?: number
  /** Where to end, in bytes, itself not read. Default: the end of the file. */
  end?: number
}

/** Options of {@link readInto}. */
export interface ReadOptions {
  /** Where in the file, in bytes. Default: where the last read ended. */
  position?: number
  /** Bytes to read at most. Default: the capacity of the buffer. */
  bytes?: number
}

const FILE_OPTIONS: OptionNames<FileOptions> = { ...INGEST_OPTIONS, start: true, end: true }
const READ_OPTIONS: OptionNames<ReadOptions> = { position: true, bytes: true }
const MAX = Number.MAX_SAFE_INTEGER

/**
 * Reads from `file` straight into `buffer`, and sets its length. The memory stays allocated until the read has ended, whatever becomes
 * of `buffer` meanwhile.
 * @returns bytes read; 0 at the end of the file
 * @throws {@link MillraceError} `ERR_MILLRACE_RELEASED` or `_CLOSED` when the buffer is gone at the end of the read; what the read fails with
 */
export async function readInto(file: FileHandle, buffer: BufferPtr, options: ReadOptions = {}): Promise<number> {
  const { position = null, bytes = buffer.capacity } = checkOptions('readInto', options, READ_OPTIONS)
  checkInteger('bytes', bytes, 0, buffer.capacity)
  using held = buffer.share()
  held.length = bytes
  const { bytesRead } = await file.read(held.bytes, 0, bytes, position)
  buffer.length = bytesRead
  return bytesRead
}

/**
 * The content of a file in pool buffers, in order, without a copy on the way: all of `bytes` but the last. Each is released at the
 * end of its turn; send it to hand it on, `share()` it to keep it. Up to `prefetch` are read at once. A handle is left open. What is
 * no regular file, such as a pipe, is read as it comes. While the pool is exhausted, reading waits. When the manager closes, the
 * iteration fails with `ERR_MILLRACE_CLOSED`.
 */
export function fromFile(
  shm: BufferOwner,
  file: PathLike | FileHandle,
  options: FileOptions = {},
): AsyncIterableIterator<BufferPtr, undefined> {
  const { start = 0, end = MAX, ...ingest } = checkOptions('fromFile', options, FILE_OPTIONS)
  const settings = checkIngest(ingest)
  checkInteger('start', start, 0, MAX)
  checkInteger('end', end, start, MAX)
  return new PullIterator(new FileReads(allocatorOf(shm), settings, file, start, end))
}

/** A read under way, or one that has ended before those that were begun earlier. */
interface Read {
  /** Where it begins, and how many bytes it is to bring. */
  readonly at: number
  readonly size: number
  /** What it came to. */
  result: { readonly buffer: BufferPtr; readonly filled: number } | { readonly error: unknown } | undefined
}

/** The reads of one file, which is opened when it is first asked for something. */
class FileReads extends Arrivals {
  readonly #file: PathLike | FileHandle
  readonly #start: number
  readonly #end: number
  /** In the order in which they were begun. */
  readonly #reads: Read[] = []
  /** Those of them that the system works on. They do not reject. */
  readonly #working = new Set<Promise<void>>()
  #opening = false
  #handle: FileHandle | undefined
  /** Opened here, so closed here. */
  #own: FileHandle | undefined
  #closing: Promise<void> | undefined
  /** Whether reads name their position: then several can be under way, and each comes to its end. */
  #positioned = false
  /** What the system says of the size. Files of /proc say 0, so it is no end: it says how far more than one read is worth it. */
  #size = 0
  /** Where the next read begins. */
  #next = 0

  constructor(
    allocator: SharedBufferAllocator,
    settings: IngestSettings,
    file: PathLike | FileHandle,
    start: number,
    end: number,
  ) {
    super(allocator, settings)
    this.#file = file
    this.#start = start
    this.#end = end
  }

  protected override refill(): void {
    const handle = this.#handle
    if (handle === undefined) {
      if (!this.ended && !this.#opening) this.#open().catch((error: unknown) => this.#fail(error))
      return
    }
    while (this.#mayRead()) this.#begin(handle)
    if (this.#reads.length === 0 && this.#next >= this.#end) this.finish()
    if (this.ended) this.#closeSoon()
  }

  protected override stop(): void | Promise<void> {
    const closed = this.#close()
    // A read from a pipe may last for ever.
    return this.#positioned ? closed : undefined
  }

  async #open(): Promise<void> {
    this.#opening = true
    this.listen((error) => void this.drop({ error }))
    if (this.ended) return
    const handle = isHandle(this.#file) ? this.#file : (this.#own = await open(this.#file))
    const stat = await handle.stat()
    this.#positioned = stat.isFile() || stat.isBlockDevice()
    if (this.#positioned) this.#next = this.#start
    this.#size = stat.size
    this.#handle = handle
    this.refill()
  }

  #fail(error: unknown): void {
    this.finish({ error })
    this.#closeSoon()
  }

  #mayRead(): boolean {
    const reads = this.#reads.length
    if (reads >= this.room || this.#next >= this.#end) return false
    return reads === 0 || (this.#positioned && this.#next < this.#size)
  }

  #begin(handle: FileHandle): void {
    const at = this.#next
    const size = Math.min(this.settings.bytes, (at < this.#start ? this.#start : this.#end) - at)
    const read: Read = { at, size, result: undefined }
    if (this.#positioned) this.#next += size
    this.#reads.push(read)
    const work = this.#run(handle, read).finally(() => {
      this.#working.delete(work)
      this.#deliver()
    })
    this.#working.add(work)
  }

  async #run(handle: FileHandle, read: Read): Promise<void> {
    let buffer: BufferPtr | undefined
    try {
      buffer = await this.allocator.allocateWithin(read.size, limitsOf(undefined, this.cancel))
      const filled = await this.#fill(handle, buffer, read)
      buffer.length = filled
      read.result = { buffer, filled }
    } catch (error) {
      discard(buffer)
      read.result = { error }
    }
  }

  /** A read at a position may be cut short by a signal; any other brings what there is. */
  async #fill(handle: FileHandle, buffer: BufferPtr, { at, size }: Read): Promise<number> {
    buffer.length = size
    let filled = 0
    while (filled < size && !this.ended) {
      const position = this.#positioned ? at + filled : null
      const { bytesRead } = await handle.read(buffer.bytes, filled, size - filled, position)
      filled += bytesRead
      if (bytesRead === 0 || position === null) break
    }
    return filled
  }

  /** Hands on what has been read, in order. */
  #deliver(): void {
    for (let read = this.#reads[0]; read?.result !== undefined; read = this.#reads[0]) {
      this.#reads.shift()
      const { result } = read
      if ('error' in result) {
        this.finish(result)
        continue
      }
      const { buffer, filled } = result
      if (!this.#positioned) this.#next += filled
      if (filled > 0 && read.at >= this.#start) this.push(buffer)
      else buffer.release()
      if (filled === 0 || (this.#positioned && filled < read.size)) this.finish()
    }
    this.refill()
  }

  #closeSoon(): void {
    this.#close().catch((error: unknown) => this.finish({ error }))
  }

  /** Closes the file when no read is under way any more. */
  async #close(): Promise<void> {
    await Promise.all(this.#working)
    // A handle that is being closed tells whoever asks again that it is closed.
    this.#closing ??= this.#own?.close()
    await this.#closing
  }
}

function isHandle(file: PathLike | FileHandle): file is FileHandle {
  return typeof file === 'object' && 'read' in file && typeof file.read === 'function'
}
