import { channel } from 'node:diagnostics_channel'

/** A subscriber that lets publishers wait and has no room. */
export interface BlockedSubscriber {
  /** Name of its subscription, empty if it has none. */
  name: string
  /** Slot of the participant that made it; null: that has gone, and the subscription has a name. */
  participant: number | null
  /** Process id of that participant. */
  pid: number | null
  /** Name of that participant. */
  process: string | null
}

/** For whom a `publish()` or `put()` of a topic has waited for a second, and waits. */
export interface BlockedReport extends BlockedSubscriber {
  /** The topic's name. */
  topic: string
}

/** Longer than a subscriber that is only busy lets publishers wait. Milliseconds. */
const PATIENCE_MS = 1000

/** Carries every {@link BlockedReport}. */
const publisherBlocked = channel('millrace:publisher-blocked')

/** Subscribers that this process has been warned of. */
const warned = new Set<string>()

/** What `waiting`, a wait for a subscriber, comes to; if it takes long, `tell` is called. */
export async function tellIfBlocked(waiting: Promise<void>, tell: () => void): Promise<void> {
  const timer = setTimeout(tell, PATIENCE_MS).unref()
  try {
    await waiting
  } finally {
    clearTimeout(timer)
  }
}

/** Publishes `report`, and warns of each subscriber once. */
export function publishBlocked(domain: string, report: BlockedReport): void {
  publisherBlocked.publish({ domain, report })
  const { topic, name, participant } = report
  const subscriber = JSON.stringify([domain, topic, name, participant])
  if (warned.has(subscriber)) return
  warned.add(subscriber)
  const message =
    `a publisher of topic "${topic}" of domain "${domain}" has waited for a second: full is ${describe(report)}; ` +
    'let it receive, or subscribe with another overflow policy, such as "latest" or "drop-oldest"'
  process.emitWarning(message, { type: 'MillraceWarning', code: 'MILLRACE_BLOCKED' })
}

/** Who `subscriber` is, for people. */
export function describe({ name, participant, pid, process: program }: BlockedSubscriber): string {
  const who =
    participant === null ? 'whose participant has gone' : `of participant ${participant} ("${program}", process ${pid})`
  return name === '' ? `the subscriber ${who}` : `subscription "${name}" ${who}`
}
