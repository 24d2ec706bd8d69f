import { emitWarning } from 'node:process'
import { type BindingManager, COPIES } from '../native/native.js'
import { type HeldReference, OwnViews } from './own-views.js'

/** Guard mode: views that end with their reference, and reports of references that nobody released. */
export class Guard extends OwnViews {
  readonly #native: BindingManager
  readonly #domain: string
  readonly #leaks = new FinalizationRegistry<HeldReference>((taken) => this.#report(taken))
  /** Not by reference, which would keep it from being collected. */
  readonly #held = new Set<HeldReference>()
  readonly #taken = new WeakMap<object, HeldReference>()

  constructor(native: BindingManager, domain: string) {
    super(native)
    this.#native = native
    this.#domain = domain
  }

  override begin(reference: object, id: number): void {
    super.begin(reference, id)
    const stack = new Error('taken here').stack?.split('\n').slice(1).join('\n') ?? ''
    const taken = { buffer: id, stack }
    this.#held.add(taken)
    this.#taken.set(reference, taken)
    this.#leaks.register(reference, taken, reference)
  }

  override held(): HeldReference[] {
    return [...this.#held]
  }

  /** And what it saw becomes empty. Copies do not: a request under way may have the address, and their memory would be freed. */
  override end(reference: object): ArrayBuffer | undefined {
    this.#leaks.unregister(reference)
    this.#held.delete(this.#taken.get(reference)!)
    const view = super.end(reference)
    if (view !== undefined && !COPIES) this.#native.detachView(view)
    return view
  }

  #report({ buffer, stack }: HeldReference): void {
    emitWarning(`a reference to buffer ${buffer} of domain "${this.#domain}" was garbage collected without release()`, {
      type: 'MillraceWarning',
      code: 'MILLRACE_LEAK',
      detail: stack,
    })
  }
}
