import type { Session } from '../session/session.js'
import type { Snapshot } from '../session/snapshot.js'
import { snapshotOf } from '../session/snapshot.js'

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
