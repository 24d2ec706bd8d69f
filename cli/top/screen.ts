// The screen of `millrace top`: what stands on it, and what keys do. Lines of text; the terminal is another file's.
import { printable } from '../table.js'
import { bytes, plural } from '../units.js'
import { type Order, TABLES } from './tables.js'
import type { View } from '../figures/view.js'

/** Of the lines of a small terminal, those that warnings may take. */
const MOST_WARNINGS = 5
const KEYS = 'q quit  1-4 table  s sort  / filter  p pause  arrows, page up and down: scroll'

/** What the keys have chosen. */
export interface State extends Order {
  /** Which of {@link TABLES}. */
  readonly table: number
  readonly paused: boolean
  /** Rows that are above the screen. */
  readonly above: number
  /** Whether keys are typed into the filter. */
  readonly typing: boolean
  readonly quit: boolean
}

/** A key as `readline` tells it. */
export interface Key {
  readonly name?: string | undefined
  readonly sequence?: string | undefined
  readonly ctrl?: boolean | undefined
}

/** A line, and how it is to stand out. */
export interface Line {
  readonly text: string
  readonly look: 'plain' | 'heading' | 'warning'
}

/** Rows of the table that is shown, and how many of them the screen has room for. */
export interface Body {
  readonly headings: string
  readonly rows: readonly string[]
  readonly room: number
}

/** The table on a screen of that height. */
export function bodyOf(view: View, state: State, height: number): Body {
  const [headings = 'nothing', ...rows] = TABLES[state.table]!.lines(view, state)
  // Beside it: summary, warnings, what was chosen, headings, keys.
  return { headings, rows, room: Math.max(height - 4 - warnings(view).length, 0) }
}

/** The lines of a terminal of that size. */
export function screenOf(view: View, state: State, width: number, height: number): Line[] {
  const head = [
    plainLine(`${summary(view)}${state.paused ? '  PAUSED' : ''}`),
    ...warnings(view),
    plainLine(chosen(state)),
  ]
  const { headings, rows, room } = bodyOf(view, state, height)
  const above = Math.min(state.above, Math.max(rows.length - room, 0))
  const shown = rows.slice(above, above + room)
  const body: Line[] = [{ text: headings, look: 'heading' }, ...shown.map(plainLine)]
  const fill = room - shown.length
  const foot = plainLine(state.typing ? `filter: ${state.filter}_` : KEYS)
  const lines = [...head, ...body, ...Array.from({ length: fill }, () => plainLine('')), foot]
  return lines.slice(0, height).map(({ text, look }) => ({ text: printable(text).slice(0, width), look }))
}

/** What `key` does while `body` is shown. */
export function pressed(state: State, key: Key, { rows, room }: Body): State {
  const { name, sequence = '', ctrl = false } = key
  if (ctrl) return name === 'c' ? { ...state, quit: true } : state
  if (state.typing) return typed(state, name, sequence)
  const by = { up: -1, down: 1, pageup: -room, pagedown: room, home: -rows.length, end: rows.length }[name ?? '']
  if (by !== undefined) return { ...state, above: Math.max(Math.min(state.above + by, rows.length - room), 0) }
  if (sequence in TABLES_BY_KEY) return { ...state, table: TABLES_BY_KEY[sequence]!, above: 0 }
  switch (sequence) {
    case 'q':
      return { ...state, quit: true }
    case 'p':
      return { ...state, paused: !state.paused }
    case 's':
      return { ...state, sort: nextSort(state), above: 0 }
    case '/':
      return { ...state, typing: true, filter: '' }
    default:
      return state
  }
}

const TABLES_BY_KEY: Readonly<Record<string, number>> = Object.fromEntries(TABLES.map((_, at) => [`${at + 1}`, at]))

function typed(state: State, name: string | undefined, sequence: string): State {
  if (name === 'return' || name === 'enter') return { ...state, typing: false }
  if (name === 'escape') return { ...state, typing: false, filter: '' }
  if (name === 'backspace') return { ...state, filter: state.filter.slice(0, -1) }
  return /^[\x20-\x7e]$/.test(sequence) ? { ...state, filter: state.filter + sequence, above: 0 } : state
}

/** The column after the present one; after the last, the order of names. */
function nextSort({ table, sort }: State): string | undefined {
  const { headings } = TABLES[table]!
  return headings[headings.indexOf(sort ?? '') + 1]
}

/** One line about everything. */
export function summary({ domains, participants, queues }: View): string {
  const used = domains.reduce((sum, { usedBytes }) => sum + usedBytes, 0)
  const budget = domains.reduce((sum, { maxBytes }) => sum + maxBytes, 0)
  const memory = `${bytes(used)} of ${bytes(budget)}`
  const there = [
    plural(domains.length, 'domain'),
    plural(participants.length, 'participant'),
    plural(queues.length, 'queue'),
  ]
  return `millrace top  ${there.join(', ')}, ${memory}`
}

/** A warning on a line. */
export function told({ kind, place, message }: View['warnings'][number]): string {
  return `! ${kind}: ${place}: ${message}`
}

function warnings({ warnings: all }: View): Line[] {
  const shown = all.length > MOST_WARNINGS ? all.slice(0, MOST_WARNINGS - 1) : all
  const rest = all.length - shown.length
  const texts = [...shown.map(told), ...(rest === 0 ? [] : [`! and ${plural(rest, 'more warning')}: --once shows all`])]
  return texts.map((text) => ({ text, look: 'warning' }))
}

function chosen({ table, sort, filter }: State): string {
  const titles = TABLES.map(({ title }, at) => (at === table ? `[${at + 1} ${title}]` : ` ${at + 1} ${title} `))
  return `${titles.join('')}  sort: ${sort ?? 'none'}${filter === '' ? '' : `  filter: ${filter}`}`
}

function plainLine(text: string): Line {
  return { text, look: 'plain' }
}
