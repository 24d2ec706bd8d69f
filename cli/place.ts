// Where something is: `<domain>/<name>`.
import { MillraceError, ShmObserver, type Snapshot } from '../index.js'

/** A domain, and perhaps one thing in it. */
export interface Place {
  readonly domain: string
  readonly name: string | undefined
}

/** The place that `text` names. */
export function placeOf(text: string): Place {
  const slash = text.indexOf('/')
  return slash < 0 ? { domain: text, name: undefined } : { domain: text.slice(0, slash), name: text.slice(slash + 1) }
}

/** The domain `name` now. */
export function snapshotOf(name: string, where: { directory?: string }): Snapshot {
  using observer = ShmObserver.open(name, where)
  return observer.snapshot()
}

/** The error for what is not in a domain. */
export function missing(what: string, name: string, { domain, queues, topics, services, workQueues }: Snapshot): Error {
  const there = [queues, topics, services, workQueues].flat().map((thing) => thing.name)
  const message = `domain ${JSON.stringify(domain)} has no ${what} ${JSON.stringify(name)}; it has ${there.join(', ') || 'nothing'}`
  return new MillraceError('ERR_MILLRACE_NOT_FOUND', message)
}
