import { type Command, milliseconds, UsageError, word } from '../command.js'
import { Sampler } from '../figures/sampler.js'
import type { View } from '../figures/view.js'
import { pause } from '../follow.js'
import { interrupted } from '../interrupted.js'
import { snapshotOf } from '../place.js'
import { underTitle } from '../table.js'
import { START } from '../top/keys.js'
import { live } from '../top/live.js'
import type { Moment } from '../top/moments.js'
import { summary, told } from '../top/screen.js'
import { type Order, TABLES } from '../top/tables.js'

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
    'show what goes on in all domains, or in one: rates, depths, who holds what, what is off; takes part in none, but for what you tell it to do',
  async run({ positionals: [domain], where, json, values, flags }) {
    const interval = milliseconds('interval', values['interval']) ?? 1000
    const order = { sort: word('sort', values['sort'], COLUMNS), filter: values['filter'] ?? '' }
    const once = flags.has('once')
    if (!once && !json) checkTerminal()
    // Its error says best why a domain cannot be read; one that ends later is a domain less.
    if (domain !== undefined) snapshotOf(domain, where)
    const stop = new AbortController()
    interrupted().addEventListener('abort', () => stop.abort())
    const seen = momentsOf(new Sampler(domain === undefined ? [] : [domain], where), interval, stop.signal)
    if (!once && !json) {
      await live(seen, { ...START, ...order }, where, stop)
      return 0
    }
    for await (const { view } of seen) {
      // The first has no rates yet.
      if (view.seconds === 0) continue
      console.log(json ? JSON.stringify(view) : page(view, order))
      if (once) return view.warnings.length === 0 ? 0 : 1
    }
    return 0
  },
}

function checkTerminal(): void {
  const { stdout, env } = process
  if (stdout.isTTY && env['TERM'] !== 'dumb') return
  const is = stdout.isTTY ? 'the terminal is of type dumb' : 'standard output is no terminal'
  throw new UsageError(`${is}: --once prints what goes on, --json a line an interval`)
}

/** What goes on, once an interval, until `signal` is aborted. */
async function* momentsOf(sampler: Sampler, interval: number, signal: AbortSignal): AsyncGenerator<Moment> {
  while (!signal.aborted) {
    const { reading, view } = sampler.look()
    yield { at: reading.at, view }
    await pause(interval, signal)
  }
}

/** Everything, for who wants it once. */
function page(view: View, order: Order): string {
  const tables = TABLES.flatMap(({ title, of }) => {
    const { headings, rows } = of(view, order)
    return headings === undefined ? [] : underTitle(title, [headings, ...rows.map(({ text }) => text)])
  })
  return [`millrace top  ${summary(view)}`, ...view.warnings.map(told), ...tables].join('\n')
}
