// What `millrace top` and the dashboard read, once an interval. It takes part in nothing.
import { MillraceError, ShmObserver } from '../../index.js'
import { inspect, type Inspected } from '../inspected.js'

/** The domains at one moment. */
export interface Reading {
  /** In ms, of a clock that nobody sets. */
  readonly at: number
  readonly domains: readonly Inspected[]
  readonly unreadable: readonly Unreadable[]
}

/** What cannot be read, and why. */
export interface Unreadable {
  readonly domain: string
  readonly message: string
}

/** Reads the domains `asked` for, or all there are. One that has ended is no error: it is not there. */
export function read(asked: readonly string[], where: { directory?: string }): Reading {
  const at = performance.now()
  const names = asked.length === 0 ? ShmObserver.list(where).map(({ domain }) => domain) : asked
  const seen = names.flatMap((name) => look(name, where) ?? [])
  return {
    at,
    domains: seen.filter((one) => 'participants' in one),
    unreadable: seen.filter((one) => 'message' in one),
  }
}

function look(domain: string, where: { directory?: string }): Inspected | Unreadable | null {
  try {
    return inspect(domain, where)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    return error.code === 'ERR_MILLRACE_NOT_FOUND' ? null : { domain, message: error.message }
  }
}
