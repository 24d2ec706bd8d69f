// What has happened from one look to the next: who came and went, deaths and what their repair came to, stops, warnings.
import { idOf, type Inspected, type Seen } from '../inspected.js'
import type { Reading } from '../figures/reading.js'
import type { Sample } from '../figures/sampler.js'
import { described, type Warning } from '../figures/warnings.js'
import { plural } from '../units.js'
import type { LogEntry } from './protocol.js'

/** Entries that are kept. */
export const ENTRIES_MAX = 500
/** A warning is over when it has not been there for so long: those that come and go are one. */
const OVER_MS = 10_000

type Said = Omit<LogEntry, 'id' | 'atMs'>

/** The last things that have happened. */
export class Log {
  #entries: readonly LogEntry[] = []
  #before: Reading | undefined
  /** Warnings that have been told, and when each was there last, by the clock of readings. */
  readonly #warned = new Map<string, { at: number; warning: Warning }>()

  /** All that is kept, oldest first. */
  get entries(): readonly LogEntry[] {
    return this.#entries
  }

  /** Takes what a look has found; returns what has happened since the one before. `nowMs`: in ms since the Unix epoch. */
  add({ reading, view }: Sample, nowMs: number): readonly LogEntry[] {
    const said = [...changes(this.#before, reading), ...this.#warnings(view.warnings, reading.at)]
    const next = (this.#entries.at(-1)?.id ?? 0) + 1
    const added = said.map((each, at): LogEntry => Object.assign(each, { id: next + at, atMs: nowMs }))
    this.#entries = [...this.#entries, ...added].slice(-ENTRIES_MAX)
    this.#before = reading
    return added
  }

  #warnings(warnings: readonly Warning[], at: number): Said[] {
    const said: Said[] = []
    for (const warning of warnings) {
      const { kind, place, message } = warning
      // Told as what has happened to participants.
      if (kind === 'dead' || kind === 'stalled') continue
      const key = `${kind} ${place}`
      if (!this.#warned.has(key)) said.push({ level: 'trouble', kind, place, message })
      this.#warned.set(key, { at, warning })
    }
    for (const [key, { at: last, warning }] of this.#warned) {
      if (at - last < OVER_MS) continue
      this.#warned.delete(key)
      said.push({ level: 'note', kind: `${warning.kind} is over`, place: warning.place, message: 'not seen any more' })
    }
    return said
  }
}

/** What has changed; of the first reading, what there is. */
function changes(before: Reading | undefined, now: Reading): Said[] {
  if (before === undefined) {
    return now.domains.map((one) => told(one, 'there', 'note', plural(one.participants.length, 'participant')))
  }
  const [past, present] = [before, now].map(({ domains }) => new Map(domains.map((one) => [nameOf(one), one])))
  const gone = [...past!].filter(([name]) => !present!.has(name)).map(([, one]) => one)
  return [
    ...gone.map((one) => told(one, 'domain gone', 'note', 'it has ended, or its last participant has left')),
    ...now.domains.flatMap((one) => {
      const last = past!.get(nameOf(one))
      return last === undefined
        ? [told(one, 'domain made', 'note', `by millrace ${one.version}`), ...one.participants.flatMap(joined(one))]
        : changesIn(last, one)
    }),
  ]
}

/** A domain that was made anew is another one. */
function nameOf({ domain, createdAtMs }: Inspected): string {
  return `${domain} ${createdAtMs}`
}

function changesIn(before: Inspected, now: Inspected): Said[] {
  const past = new Map(before.participants.map((one) => [idOf(one), one]))
  const present = new Set(now.participants.map(idOf))
  return [
    ...now.participants.filter((one) => !past.has(idOf(one))).flatMap(joined(now)),
    ...now.participants.flatMap((one) => turns(now, past.get(idOf(one)), one)),
    ...ends(
      before,
      now,
      before.participants.filter((one) => !present.has(idOf(one))),
    ),
  ]
}

function joined(domain: Inspected): (one: Seen) => Said[] {
  return (one) => [told(domain, 'joined', 'note', described(one))]
}

/** A participant that stops, goes on, or is found dead. */
function turns(domain: Inspected, before: Seen | undefined, now: Seen): Said[] {
  if (now.dead) {
    return before?.dead ? [] : [told(domain, 'died', 'trouble', `${described(now)}, not recovered yet`)]
  }
  const was = before?.stalled ?? null
  if (was === now.stalled) return []
  return now.stalled === null
    ? [told(domain, 'goes on', 'note', described(now))]
    : [told(domain, 'stalled', 'trouble', `${described(now)} is stopped ${now.stalled} an operation`)]
}

/** Participants that are not there any more. Who has died is not said of each by the domain, but how many have. */
function ends(before: Inspected, now: Inspected, gone: readonly Seen[]): Said[] {
  const deaths = now.recoveries - before.recoveries
  const unseen = gone.filter(({ dead }) => !dead)
  const died = deaths - (gone.length - unseen.length)
  const [kind, level, rest] =
    died === 0
      ? (['left', 'note', ''] as const)
      : died === unseen.length
        ? (['died', 'trouble', ''] as const)
        : (['left or died', 'trouble', `: ${died} of those who went in this time have died`] as const)
  const each = unseen.map((one) => told(now, kind, level, `${described(one)}${rest}`))
  if (deaths === 0) return each
  const [freed, lost, redelivered] = (['freed', 'lost', 'redelivered'] as const).map(
    (what) => now.recovered[what] - before.recovered[what],
  )
  const message = `${plural(deaths, 'death')}: ${plural(freed!, 'buffer')} freed, ${plural(lost!, 'message')} lost, ${redelivered} delivered again`
  return [...each, told(now, 'repaired', lost === 0 ? 'note' : 'trouble', message)]
}

function told({ domain }: Inspected, kind: string, level: LogEntry['level'], message: string): Said {
  return { level, kind, place: domain, message }
}
