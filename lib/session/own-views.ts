import { type BindingManager, COPIES } from '../native/native.js'

/** What references to one buffer see of it that others do not; made when it is looked at. */
interface OwnView {
  buffer: ArrayBuffer | undefined
}

/** A reference that has not been released, as those know who track them. */
export interface HeldReference {
  /** Number of its buffer. */
  buffer: number
  /** The stack that took it. */
  stack: string
}

/** Views that references have for themselves, because they end with it, or because they are copies. */
export class OwnViews {
  readonly #native: BindingManager
  readonly #views = new WeakMap<object, OwnView>()

  constructor(native: BindingManager) {
    this.#native = native
  }

  /** `reference` to buffer `id` has just been taken. */
  begin(reference: object, _id: number): void {
    this.#views.set(reference, { buffer: undefined })
  }

  /** The ArrayBuffer of `reference`, which is to buffer `id`. */
  view(reference: object, id: number): ArrayBuffer {
    const view = this.#views.get(reference)!
    if (view.buffer === undefined || view.buffer.byteLength === 0) view.buffer = this.#native.ownView(id)
    return view.buffer
  }

  /** `other` is a further reference to the buffer of `reference`: copies are one, so that each sees what the other writes. */
  share(reference: object, other: object): void {
    if (COPIES) this.#views.set(other, this.#views.get(reference)!)
  }

  /** Others are to see the first bytes of buffer `id`, as many as `length` returns, as `reference` shows them. */
  writeBack(reference: object, id: number, length: () => number): void {
    const buffer = COPIES ? this.#views.get(reference)?.buffer : undefined
    if (buffer === undefined) return
    this.#native.writeMessage(id, new Uint8Array(buffer, 0, Math.min(length(), buffer.byteLength)))
  }

  /** References that have not been released nor sent, as far as they are tracked. */
  held(): HeldReference[] {
    return []
  }

  /** `reference` has been released or sent. Returns what it saw. */
  end(reference: object): ArrayBuffer | undefined {
    const view = this.#views.get(reference)
    this.#views.delete(reference)
    return view?.buffer
  }
}
