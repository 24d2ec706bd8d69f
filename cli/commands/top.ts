import { type Command, milliseconds, UsageError, word } from '../command.js'
import { Sampler } from '../figures/sampler.js'
import type { View } from '../figures/view.js'
import { pause } from '../follow.js'
import { interrupted } from '../interrupted.js'
import { snapshotOf } from '../place.js'
import { underTitle } from '../table.js'
import { bodyOf, type Key, pressed, screenOf, type State, summary, told } from '../top/screen.js'
import { type Order, TABLES } from '../top/tables.js'
import { Terminal } from '../top/terminal.js'

const COLUMNS = [...new Set(TABLES.flatMap(({ headings }) => headings))]

/** Shows what goes on. */
export const top: Command = {
  name: 'top',
  parameters: ['[domain]'],
  options: {
    once: { summary: 'show what goes on in one interval and end; exit code 1: there is a warning' },
    interval: { value: '<ms>', summary: 'time between two looks; default: 1000' },
    sort: { value: '<column>', values: COLUMNS, summary: 'column that rows are sorted by, as its heading names it' },
    filter: { value: '<text>', summary: 'only rows with that text' },
  },
  summary:
    'show what goes on in all domains, or in one: rates, depths, who holds what, what is off; takes part in none',
  async run({ positionals: [domain], where, json, values, flags }) {
    const interval = milliseconds('interval', values['interval']) ?? 1000
    const order = { sort: word('sort', values['sort'], COLUMNS), filter: values['filter'] ?? '' }
    const once = flags.has('once')
    if (!once && !json) checkTerminal()
    // Its error says best why a domain cannot be read; one that ends later is a domain less.
    if (domain !== undefined) snapshotOf(domain, where)
    const stop = new AbortController()
    interrupted().addEventListener('abort', () => stop.abort())
    const views = viewsOf(new Sampler(domain === undefined ? [] : [domain], where), interval, stop.signal)
    if (!once && !json) return live(views, { ...START, ...order }, stop)
    for await (const view of views) {
      // The first has no rates yet.
      if (view.seconds === 0) continue
      console.log(json ? JSON.stringify(view) : page(view, order))
      if (once) return view.warnings.length === 0 ? 0 : 1
    }
    return 0
  },
}

const START = { table: 0, paused: false, above: 0, typing: false, quit: false } as const

function checkTerminal(): void {
  const { stdout, env } = process
  if (stdout.isTTY && env['TERM'] !== 'dumb') return
  const is = stdout.isTTY ? 'the terminal is of type dumb' : 'standard output is no terminal'
  throw new UsageError(`${is}: --once prints what goes on, --json a line an interval`)
}

/** What goes on, once an interval, until `signal` is aborted. */
async function* viewsOf(sampler: Sampler, interval: number, signal: AbortSignal): AsyncGenerator<View> {
  while (!signal.aborted) {
    yield sampler.look().view
    await pause(interval, signal)
  }
}

/** Shows `views` on the whole terminal, as the keys say, until one of them ends it. */
async function live(views: AsyncGenerator<View>, start: State, stop: AbortController): Promise<number> {
  let state = start
  let shown: View | undefined
  const draw = (): void => {
    if (shown !== undefined) terminal.draw(screenOf(shown, state, terminal.width, terminal.height))
  }
  const onKey = (key: Key): void => {
    if (shown === undefined) return
    state = pressed(state, key, bodyOf(shown, state, terminal.height))
    if (state.quit) stop.abort()
    draw()
  }
  using terminal = new Terminal(onKey, draw)
  for await (const view of views) {
    if (!state.paused) shown = view
    draw()
  }
  return 0
}

/** Everything, for who wants it once. */
function page(view: View, order: Order): string {
  const tables = TABLES.flatMap(({ title, lines }) => underTitle(title, lines(view, order)))
  return [summary(view), ...view.warnings.map(told), ...tables].join('\n')
}
