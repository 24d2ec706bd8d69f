import type { MillraceError } from '../errors.js'
import type { SharedBufferAllocator } from '../memory/allocator.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import { Cancel, onAbort } from '../session/cancel.js'
import type { Limits } from '../session/limits.js'
import type { PullSource, Taken } from '../session/pull-iterator.js'
import { WaitList } from '../session/wait-list.js'
import type { IngestSettings } from './options.js'

/**
 * Buffers that have been filled and not been asked for, then the end or one error: what the iterators of files and sockets take from.
 * A subclass fills them.
 */
export abstract class Arrivals implements PullSource<BufferPtr> {
  protected readonly allocator: SharedBufferAllocator
  protected readonly settings: IngestSettings
  /** Ends our own waits for memory. */
  protected readonly cancel = new Cancel()
  readonly #filled: BufferPtr[] = []
  readonly #waiting = new WaitList(() => this.#waiting.pump())
  readonly #stopListening: (() => void)[] = []
  #refilling = false
  #ended = false
  #failure: { readonly error: unknown } | undefined

  constructor(allocator: SharedBufferAllocator, settings: IngestSettings) {
    this.allocator = allocator
    this.settings = settings
  }

  /** Buffers that may still be filled before one is asked for. */
  protected get room(): number {
    return this.#ended ? 0 : this.settings.prefetch - this.#filled.length
  }

  /** Whether nothing more comes. */
  protected get ended(): boolean {
    return this.#ended
  }

  /** Called when there may be more room than before, also after the end. Does not throw. */
  protected abstract refill(): void

  /**
   * Ends the source. What this returns resolves when nothing of it is left.
   * @param early whether something was still to come
   */
  protected abstract stop(early: boolean): void | Promise<void>

  take(done?: BufferPtr): Taken<BufferPtr> {
    done?.release()
    return this.#next()
  }

  wait(limits: Limits): Promise<BufferPtr | null> {
    const arrival = this.#waiting.add(() => this.#next(), limits, 'nothing arrived')
    this.#waiting.pump()
    return arrival
  }

  release(buffer: BufferPtr): void {
    buffer.release()
  }

  end(): void | Promise<void> {
    return this.drop()
  }

  /** From now on the signal and the end of the manager are heard. `onClose` is called with the error of a closed manager. */
  protected listen(onClose: (error: MillraceError) => void): void {
    const { signal } = this.settings
    this.#stopListening.push(this.allocator.onClose(onClose))
    if (signal === undefined || this.#ended) return
    this.#stopListening.push(onAbort(signal, () => void this.drop({ error: signal.reason })))
  }

  /** Takes a buffer that has been filled. */
  protected push(buffer: BufferPtr): void {
    if (this.#ended) return discard(buffer)
    this.#filled.push(buffer)
    this.#waiting.pump()
  }

  /** Nothing more comes: after what has come, the iteration ends or fails. */
  protected finish(failure?: { readonly error: unknown }): void {
    if (this.#ended) return
    this.#ended = true
    this.#failure = failure
    for (const stop of this.#stopListening.splice(0)) stop()
    this.cancel.cancel()
    this.#waiting.pump()
  }

  /** Nothing more is wanted: what has come is dropped, and the iteration ends or fails at once. */
  protected drop(failure?: { readonly error: unknown }): void | Promise<void> {
    const early = !this.#ended || this.#filled.length > 0
    for (const buffer of this.#filled.splice(0)) discard(buffer)
    this.finish(failure)
    return this.stop(early)
  }

  /** The next buffer; the end; or, once, the error. */
  #next(): Taken<BufferPtr> {
    const buffer = this.#filled.shift()
    if (buffer === undefined && this.#ended) {
      const failure = this.#failure
      this.#failure = undefined
      if (failure !== undefined) throw failure.error
      return null
    }
    this.#refillSoon()
    return buffer
  }

  /** Not at once: a waiter may be about to get what has been taken, and a source may end as it is refilled. */
  #refillSoon(): void {
    if (this.#refilling) return
    this.#refilling = true
    queueMicrotask(() => {
      this.#refilling = false
      this.refill()
    })
  }
}
