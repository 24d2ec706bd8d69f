// Looks at domains again and again: what `millrace top` and the dashboard show comes from here.
import { Ages } from './ages.js'
import { read, type Reading } from './reading.js'
import { type View, viewOf } from './view.js'

/** What one look has found, and what is made of it and the look before. */
export interface Sample {
  readonly reading: Reading
  readonly view: View
}

/** Looks at some domains, or at all there are. */
export class Sampler {
  readonly #asked: readonly string[]
  readonly #where: { directory?: string }
  readonly #ages = new Ages()
  /** Events that have been read. */
  readonly #seen = new Map<string, number>()
  #before: Reading | undefined

  /** @param asked names of domains; none: all of the directory, those made later included */
  constructor(asked: readonly string[], where: { directory?: string }) {
    this.#asked = asked
    this.#where = where
  }

  /** Looks now. Rates are since the look before; of the first they are 0. */
  look(): Sample {
    const reading = read(this.#asked, this.#where, this.#seen)
    const view = viewOf(this.#before, reading, this.#ages)
    this.#before = reading
    return { reading, view }
  }
}
