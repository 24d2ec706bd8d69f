// What has happened from one look to the next: who came and went, deaths and what their repair came to, stops, warnings.
import type { ParticipantEvent } from '../../index.js'
import { idOf, repairOf, type Seen } from '../inspected.js'
import { identityOf, type Reading, type Watched } from '../figures/reading.js'
import type { Sample } from '../figures/sampler.js'
import { described, type Warning } from '../figures/warnings.js'
import { plural } from '../units.js'
import type { LogEntry } from './protocol.js'

/** Entries that are kept. */
export const ENTRIES_MAX = 500
/** A warning is over when it has not been there for so long: those that come and go are one. */
const OVER_MS = 10_000

/** Something to tell; with its time, where the domain says that. */
type Said = Omit<LogEntry, 'id' | 'atMs'> & Partial<Pick<LogEntry, 'atMs'>>

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
    const added = said.map((each, at): LogEntry => Object.assign({ atMs: nowMs }, each, { id: next + at }))
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
  const [past, present] = [before, now].map(({ domains }) => new Map(domains.map((one) => [identityOf(one), one])))
  const gone = [...past!].filter(([name]) => !present!.has(name)).map(([, one]) => one)
  return [
    ...gone.map((one) => told(one, 'domain gone', 'note', 'it has ended, or its last participant has left')),
    ...now.domains.flatMap((one) => {
      const last = past!.get(identityOf(one))
      return last === undefined
        ? [told(one, 'domain made', 'note', `by millrace ${one.version}`), ...events(undefined, one)]
        : changesIn(last, one)
    }),
  ]
}

function changesIn(before: Watched, now: Watched): Said[] {
  const past = new Map(before.participants.map((one) => [idOf(one), one]))
  // Recovered since we looked at who is there.
  const recovered = new Set(now.events.flatMap((event) => (event.change === 'died' ? idOf(event) : [])))
  const there = now.participants.filter((one) => !recovered.has(idOf(one)))
  return [...events(before, now), ...there.flatMap((one) => turns(now, past.get(idOf(one)), one))]
}

/** What the domain says that has happened. */
function events(before: Watched | undefined, now: Watched): Said[] {
  const known = new Set(before?.participants.flatMap((one) => (one.dead ? idOf(one) : [])))
  return now.events.flatMap((event) => {
    const gap: Said[] = event.missed === 0 ? [] : [told(now, 'missed', 'trouble', notRead(event))]
    const said = saidOf(now, event, known.has(idOf(event)))
    return [...gap, ...said.map((each) => Object.assign(each, { atMs: event.atMs }))]
  })
}

/** `isKnown`: that it has died has been told. */
function saidOf(domain: Watched, event: ParticipantEvent, isKnown: boolean): Said[] {
  const who = described(event)
  switch (event.change) {
    case 'joined':
      return [told(domain, 'joined', 'note', who)]
    case 'closed':
      return [told(domain, 'left', 'note', who)]
    case 'exited': {
      const { code } = event
      const how = code === undefined ? '' : ` with exit code ${code}`
      const level = code === undefined || code === 0 ? 'note' : 'trouble'
      return [told(domain, 'left', level, `${who}: its process or thread has ended${how}`)]
    }
  }
  const { lost } = event.recovery
  return [
    ...(isKnown ? [] : [told(domain, 'died', 'trouble', who)]),
    told(domain, 'repaired', lost === 0 ? 'note' : 'trouble', `${who}: ${repairOf(event.recovery)}`),
  ]
}

function notRead({ missed }: ParticipantEvent): string {
  return `${plural(missed, 'event')} that nobody read while the domain remembered them`
}

/** A participant that stops, goes on, or is found dead. */
function turns(domain: Watched, before: Seen | undefined, now: Seen): Said[] {
  if (now.dead) {
    return before?.dead ? [] : [told(domain, 'died', 'trouble', `${described(now)}, not recovered yet`)]
  }
  const was = before?.stalled ?? null
  if (was === now.stalled) return []
  return now.stalled === null
    ? [told(domain, 'goes on', 'note', described(now))]
    : [told(domain, 'stalled', 'trouble', `${described(now)} is stopped ${now.stalled} an operation`)]
}

function told({ domain }: Watched, kind: string, level: LogEntry['level'], message: string): Said {
  return { level, kind, place: domain, message }
}
