import { emitWarning } from 'node:process'
import { type BindingManager, COPIES } from '../native/native.js'
import { OwnViews } from './own-views.js'

/** What a leak report tells of a reference. */
interface Taken {
  readonly id: number
  readonly stack: string | undefined
}

/** Guard mode: views that end with their reference, and reports of references that nobody released. */
export class Guard extends OwnViews {
  readonly #native: BindingManager
  readonly #domain: string
  readonly #leaks = new FinalizationRegistry<Taken>((taken) => this.#report(taken))

  constructor(native: BindingManager, domain: string) {
    super(native)
    this.#native = native
    this.#domain = domain
  }

  override begin(reference: object, id: number): void {
    super.begin(reference, id)
    this.#leaks.register(reference, { id, stack: new Error('taken here').stack }, reference)
  }

  /** And what it saw becomes empty. Copies do not: a request under way may have the address, and their memory would be freed. */
  override end(reference: object): ArrayBuffer | undefined {
    this.#leaks.unregister(reference)
    const view = super.end(reference)
    if (view !== undefined && !COPIES) this.#native.detachView(view)
    return view
  }

  #report({ id, stack }: Taken): void {
    emitWarning(`a reference to buffer ${id} of domain '${this.#domain}' was garbage collected without release()`, {
      type: 'MillraceWarning',
      code: 'MILLRACE_LEAK',
      detail: stack ?? '',
    })
  }
}
