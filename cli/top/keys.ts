// What the keys of `millrace top` do.
import type { Action } from './actions.js'
import type { Moment, Moments } from './moments.js'
import { type Order, type Row, TABLES } from './tables.js'

/** What the keys have chosen. */
export interface State extends Order {
  /** Which of {@link TABLES}. */
  readonly table: number
  /** Key of the row that actions are about; undefined: none. */
  readonly selected: string | undefined
  /** Rows that are above the screen. */
  readonly above: number
  /** Whether keys are typed into the filter. */
  readonly typing: boolean
  /** What is looked at instead of the present. */
  readonly moment: Moment | undefined
  /** What is done if the next key is `y`. */
  readonly asked: Action | undefined
  /** What has been confirmed, and is to begin. */
  readonly confirmed: Action | undefined
  readonly quit: boolean
}

/** The state before any key, but for the order. */
export const START: Omit<State, keyof Order> = {
  table: 0,
  selected: undefined,
  above: 0,
  typing: false,
  moment: undefined,
  asked: undefined,
  confirmed: undefined,
  quit: false,
}

/** A key as `readline` tells it. */
export interface Key {
  readonly name?: string | undefined
  readonly sequence?: string | undefined
  readonly ctrl?: boolean | undefined
}

/** Rows of the table that is shown, and how many of them the screen has room for. */
export interface Body {
  readonly headings: string
  readonly rows: readonly Row[]
  readonly room: number
}

/** What is there when a key is pressed. */
export interface Present {
  readonly body: Body
  /** The newest moment, and those before it. */
  readonly newest: Moment
  readonly moments: Moments
}

/** Where the row that is selected is, and how many rows are above the screen so that it can be seen. */
export function windowOf({ selected, above }: State, { rows, room }: Body): { at: number; above: number } {
  const at = rows.findIndex(({ key }) => key === selected)
  const seen = at < 0 ? above : Math.min(Math.max(above, at - room + 1), at)
  return { at, above: Math.max(Math.min(seen, rows.length - room), 0) }
}

/** What can be done to the row that is selected. */
export function actionsIn(state: State, body: Body): readonly Action[] {
  return body.rows[windowOf(state, body).at]?.actions() ?? []
}

/** What `key` does. */
export function pressed(state: State, key: Key, present: Present): State {
  const { name = '', sequence = '', ctrl = false } = key
  if (ctrl) return name === 'c' ? { ...state, quit: true } : state
  if (state.typing) return typed(state, name, sequence)
  if (state.asked !== undefined) {
    return { ...state, asked: undefined, confirmed: sequence === 'y' ? state.asked : undefined }
  }
  const { room, rows } = present.body
  const by = { up: -1, down: 1, pageup: -room, pagedown: room, home: -rows.length, end: rows.length }[name]
  if (by !== undefined) return moved(state, by, present.body)
  if (sequence in TABLES_BY_KEY) return { ...state, ...TOP, table: TABLES_BY_KEY[sequence]! }
  if (name === 'left') return { ...state, moment: earlier(state, present) }
  if (name === 'right') return { ...state, moment: state.moment && present.moments.after(state.moment) }
  switch (sequence) {
    case 'q':
      return { ...state, quit: true }
    case 'p':
      return { ...state, moment: state.moment === undefined ? present.newest : undefined }
    case 's':
      return { ...state, ...TOP, sort: nextSort(state) }
    case '/':
      return { ...state, typing: true, filter: '' }
    default: {
      const asked = actionsIn(state, present.body).find((each) => each.key === sequence)
      return asked === undefined ? state : { ...state, asked }
    }
  }
}

const TABLES_BY_KEY: Readonly<Record<string, number>> = Object.fromEntries(TABLES.map((_, at) => [`${at + 1}`, at]))
/** Where a table is seen from when it is another one, or another order. */
const TOP = { selected: undefined, above: 0 }

function moved(state: State, by: number, body: Body): State {
  const { at, above } = windowOf(state, body)
  // Without a row that is selected from above the first that is seen.
  const to = Math.min(Math.max((at < 0 ? above - 1 : at) + by, 0), body.rows.length - 1)
  const next = { ...state, selected: body.rows[to]?.key }
  return { ...next, above: windowOf(next, body).above }
}

function earlier({ moment }: State, { newest, moments }: Present): Moment {
  const from = moment ?? newest
  return moments.before(from) ?? from
}

function typed(state: State, name: string, sequence: string): State {
  if (name === 'return' || name === 'enter') return { ...state, typing: false }
  if (name === 'escape') return { ...state, typing: false, filter: '' }
  if (name === 'backspace') return { ...state, filter: state.filter.slice(0, -1) }
  return /^[\x20-\x7e]$/.test(sequence) ? { ...state, ...TOP, filter: state.filter + sequence } : state
}

/** The column after the present one; after the last, the order of names. */
function nextSort({ table, sort }: State): string | undefined {
  const { headings } = TABLES[table]!
  return headings[headings.indexOf(sort ?? '') + 1]
}
