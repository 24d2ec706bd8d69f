import { HoldCount } from './wait-list.js'

/**
 * Waits for memory, all of which this very participant holds. Such waits do not keep the process alive: once nothing else does,
 * nothing here will ever release any, and they fail, where they would go on for ever.
 */
export class OwnMemory {
  readonly holds = new HoldCount()
  readonly #ask: () => boolean
  readonly #onChange: () => void
  readonly #fail: () => void
  #isOwn = false

  /**
   * @param ask whether nobody but this participant can give memory back
   * @param onChange called when {@link OwnMemory.keepsAlive} has changed
   * @param fail ends all waits for memory
   */
  constructor(ask: () => boolean, onChange: () => void, fail: () => void) {
    this.#ask = ask
    this.#onChange = onChange
    this.#fail = fail
  }

  /** Whether somebody waits for memory that somebody else may give back. */
  get keepsAlive(): boolean {
    return this.holds.count > 0 && !this.#isOwn
  }

  /** Looks whose it is. */
  look(): void {
    const isOwn = this.holds.count > 0 && this.#ask()
    if (isOwn === this.#isOwn) return
    if (isOwn) process.on('beforeExit', this.#onIdle)
    else process.off('beforeExit', this.#onIdle)
    this.#isOwn = isOwn
    this.#onChange()
  }

  /** All waits have ended. */
  close(): void {
    if (this.#isOwn) process.off('beforeExit', this.#onIdle)
    this.#isOwn = false
  }

  /** The event loop has nothing else to do. */
  readonly #onIdle = (): void => {
    // Somebody else may have joined since it was looked at.
    this.look()
    if (this.#isOwn) this.#fail()
  }
}
