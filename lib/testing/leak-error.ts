import type { HeldReference } from '../session/own-views.js'

/** A reference that a manager had not released when it was closed. */
export interface Held extends HeldReference {
  /** Slot of the participant that held it. */
  participant: number
}

/** A test has left something behind. */
export class LeakError extends Error {
  /** References that were not released, each with the stack that took it. */
  readonly held: readonly Held[]
  /** Paths of files and shared memory objects that were left. */
  readonly left: readonly string[]

  /** @internal */
  constructor(domain: string, held: readonly Held[], left: readonly string[]) {
    const references = held.map(
      ({ participant, buffer, stack }) => `buffer ${buffer} is held by participant ${participant}, taken\n${stack}`,
    )
    const what = [...references, ...left.map((path) => `${path} is left`)]
    super(`test domain "${domain}" is not clean at its end:\n${what.join('\n')}`)
    this.name = 'LeakError'
    this.held = held
    this.left = left
  }
}
