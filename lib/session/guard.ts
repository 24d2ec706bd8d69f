import { emitWarning } from 'node:process'
import type { BindingManager } from '../native/native.js'

/** What a leak report tells of a reference. */
interface Taken {
  readonly id: number
  readonly stack: string | undefined
}

/** Guard mode: views that end with their reference, and reports of references that nobody released. */
export class Guard {
  readonly #native: BindingManager
  readonly #domain: string
  readonly #views = new WeakMap<object, ArrayBuffer>()
  readonly #leaks = new FinalizationRegistry<Taken>((taken) => this.#report(taken))

  constructor(native: BindingManager, domain: string) {
    this.#native = native
    this.#domain = domain
  }

  /** Begins to watch `reference` to buffer `id`, which has just been taken. */
  watch(reference: object, id: number): void {
    this.#leaks.register(reference, { id, stack: new Error('taken here').stack }, reference)
  }

  /** The ArrayBuffer of `reference` alone. */
  view(reference: object, id: number): ArrayBuffer {
    const known = this.#views.get(reference)
    if (known !== undefined && known.byteLength !== 0) return known
    const view = this.#native.guardView(id)
    this.#views.set(reference, view)
    return view
  }

  /** `reference` has been released or sent: its views become empty. */
  end(reference: object): void {
    this.#leaks.unregister(reference)
    const view = this.#views.get(reference)
    if (view === undefined) return
    this.#views.delete(reference)
    this.#native.guardDetach(view)
  }

  #report({ id, stack }: Taken): void {
    emitWarning(`a reference to buffer ${id} of domain '${this.#domain}' was garbage collected without release()`, {
      type: 'MillraceWarning',
      code: 'MILLRACE_LEAK',
      detail: stack ?? '',
    })
  }
}
