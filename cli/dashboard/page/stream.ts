// What the server tells, as a state of the page.
import { useEffect, useState } from 'preact/hooks'
import type { Events, LogEntry, Sparks } from '../protocol.js'

/** Entries of the log that the page keeps. */
const ENTRIES_MAX = 500

/** What the page knows. */
export interface Known {
  readonly view: Events['view'] | undefined
  /** The newest first. */
  readonly log: readonly LogEntry[]
  readonly sparks: Sparks
  /** Since when nothing has come, in ms since the Unix epoch; null: it comes. */
  readonly silentSince: number | null
}

const NOTHING: Known = { view: undefined, log: [], sparks: {}, silentSince: null }

/** The address of something that the server has, with the token of the page. */
function addressOf(path: string, parameters: Readonly<Record<string, string>> = {}): string {
  const token = new URLSearchParams(location.search).get('token') ?? ''
  return `${path}?${new URLSearchParams({ ...parameters, token }).toString()}`
}

/** What the server has at `path` of something, asked for whenever `again` is another one; undefined: it has not answered yet. */
export function useAnswer<T>(path: string, of: string, again: unknown): T | undefined {
  const [answer, setAnswer] = useState<T | undefined>()
  useEffect(() => {
    let isWanted = true
    // When it fails the page says that the server is away, and what was there stays.
    answerOf<T>(path, of).then(
      (found) => isWanted && setAnswer(found),
      () => {},
    )
    return () => (isWanted = false)
  }, [path, of, again])
  return answer
}

async function answerOf<T>(path: string, of: string): Promise<T> {
  const response = await fetch(addressOf(path, { of }))
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as T
}

/** What the server has told until now. The browser connects again by itself when the stream breaks. */
export function useKnown(): Known {
  const [known, setKnown] = useState(NOTHING)
  useEffect(() => {
    const stream = new EventSource(addressOf('/events'))
    const on = <E extends keyof Events>(name: E, take: (data: Events[E], before: Known) => Partial<Known>): void => {
      stream.addEventListener(name, ({ data }: MessageEvent<string>) => {
        setKnown((before) => ({ ...before, ...take(JSON.parse(data) as Events[E], before), silentSince: null }))
      })
    }
    on('view', (view) => ({ view }))
    on('sparks', (sparks) => ({ sparks }))
    on('log', (entries, { log }) => ({ log: merged(entries, log) }))
    stream.addEventListener('error', () => {
      setKnown((before) => ({ ...before, silentSince: before.silentSince ?? Date.now() }))
    })
    return () => stream.close()
  }, [])
  return known
}

/** After a break the server tells again what it keeps; one that was started anew counts from 1. */
function merged(entries: readonly LogEntry[], log: readonly LogEntry[]): readonly LogEntry[] {
  const first = entries[0]
  const older = first === undefined ? log : log.filter(({ id }) => id < first.id)
  return [...entries.toReversed(), ...older].slice(0, ENTRIES_MAX)
}
