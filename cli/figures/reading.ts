// What `millrace top` and the dashboard read, once an interval. It takes part in nothing.
import { MillraceError, type ParticipantEvent, ShmObserver } from '../../index.js'
import { inspectBy, type Inspected } from '../inspected.js'

/** A domain, and what has happened in it since the reading before; of one that was not there then, as far as it remembers. */
export interface Watched extends Inspected {
  readonly events: readonly ParticipantEvent[]
}

/** The domains at one moment. */
export interface Reading {
  /** In ms, of a clock that nobody sets. */
  readonly at: number
  readonly domains: readonly Watched[]
  readonly unreadable: readonly Unreadable[]
}

/** What cannot be read, and why. */
export interface Unreadable {
  readonly domain: string
  readonly message: string
}

/** Of a domain: one that was made anew is another one. */
export function identityOf({ domain, createdAtMs }: Pick<Inspected, 'domain' | 'createdAtMs'>): string {
  return `${domain} ${createdAtMs}`
}

/**
 * Reads the domains `asked` for, or all there are. One that has ended is no error: it is not there. `seen`: number of the last event that has
 * been read of each domain, by its identity; this reads those after it, and sets it.
 */
export function read(asked: readonly string[], where: { directory?: string }, seen: Map<string, number>): Reading {
  const at = performance.now()
  const names = asked.length === 0 ? ShmObserver.list(where).map(({ domain }) => domain) : asked
  const all = names.flatMap((name) => look(name, where, seen) ?? [])
  const domains = all.filter((one) => 'participants' in one)
  const there = new Set(domains.map(identityOf))
  for (const identity of seen.keys()) if (!there.has(identity)) seen.delete(identity)
  return { at, domains, unreadable: all.filter((one) => 'message' in one) }
}

function look(domain: string, where: { directory?: string }, seen: Map<string, number>): Watched | Unreadable | null {
  try {
    using observer = ShmObserver.open(domain, where)
    const inspected = inspectBy(observer)
    const identity = identityOf(inspected)
    const last = seen.get(identity) ?? 0
    const events = observer.events(last)
    seen.set(identity, events.at(-1)?.sequence ?? last)
    return { ...inspected, events }
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    return error.code === 'ERR_MILLRACE_NOT_FOUND' ? null : { domain, message: error.message }
  }
}
