// The screen of `millrace top`: what stands on it. Lines of text; the terminal is another file's.
import { printable } from '../table.js'
import { bytes, plural } from '../units.js'
import type { View } from '../figures/view.js'
import { actionsIn, type Body, type State, windowOf } from './keys.js'
import type { Moment } from './moments.js'
import { TABLES } from './tables.js'

/** Of the lines of a small terminal, those that warnings may take. */
const MOST_WARNINGS = 5
const KEYS = 'q quit  1-4 table  s sort  / filter  p pause  arrows row/time'

/** A line, and how it is to stand out. */
export interface Line {
  readonly text: string
  readonly look: 'plain' | 'heading' | 'warning' | 'selected'
}

/** What is shown, and what of the terminal. */
export interface Scene {
  /** The newest moment. */
  readonly newest: Moment
  readonly state: State
  /** What an action is at, or has come to; undefined: there was none. */
  readonly news: string | undefined
  readonly width: number
  readonly height: number
}

/** The table of what is looked at. */
export function bodyOf({ newest, state, height }: Scene): Body {
  const { view } = state.moment ?? newest
  const { headings = 'nothing', rows } = TABLES[state.table]!.of(view, state)
  // Beside it: summary, warnings, what was chosen, headings, keys.
  return { headings, rows, room: Math.max(height - 4 - warnings(view).length, 0) }
}

/** The lines of the terminal. */
export function screenOf(scene: Scene): Line[] {
  const { newest, state, width, height } = scene
  const { view } = state.moment ?? newest
  const body = bodyOf(scene)
  const { rows, room, headings } = body
  const { at, above } = windowOf(state, body)
  const shown = rows.slice(above, above + room).map(({ text }, row): Line => {
    const isSelected = above + row === at
    return { text: `${isSelected ? '>' : ' '}${text}`, look: isSelected ? 'selected' : 'plain' }
  })
  const lines = [
    plainLine(`millrace top  ${pause(state, newest)}${summary(view)}`),
    ...warnings(view),
    plainLine(chosen(state)),
    { text: ` ${headings}`, look: 'heading' } as const,
    ...shown,
    ...Array.from({ length: room - shown.length }, () => plainLine('')),
    foot(scene, body),
  ]
  return lines.slice(0, height).map(({ text, look }) => ({ text: printable(text).slice(0, width), look }))
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
  return `${there.join(', ')}, ${memory}`
}

/** A warning on a line. */
export function told({ kind, place, message }: View['warnings'][number]): string {
  return `! ${kind}: ${place}: ${message}`
}

function foot({ state, news }: Scene, body: Body): Line {
  // The answers first: a terminal may be narrow, and names long.
  if (state.asked !== undefined) return { text: `y yes, any other key no: ${state.asked.meaning}`, look: 'warning' }
  if (state.typing) return plainLine(`filter: ${state.filter}_`)
  if (news !== undefined) return plainLine(news)
  const keys = actionsIn(state, body).map(({ key, name }) => `${key} ${name}`)
  return plainLine(keys.length === 0 ? KEYS : `${KEYS}  ${keys.join(' ')}`)
}

function pause({ moment }: State, newest: Moment): string {
  return moment === undefined ? '' : `PAUSED ${Math.round((newest.at - moment.at) / 1000)} s ago  `
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
