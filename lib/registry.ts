import type { Session } from './session.js'
import type { Snapshot } from './stats.js'
import { snapshotOf } from './stats.js'

/** The shared directory of one domain: participants, pools, queues, topics. */
export class GlobalRegistry {
  readonly #session: Session

  /** @internal */
  constructor(session: Session) {
    this.#session = session
  }

  /** Everything in the domain now, of all participants: plain data, safe for JSON. */
  snapshot(): Snapshot {
    return snapshotOf(this.#session)
  }
}
