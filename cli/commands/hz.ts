import { type Command, count, milliseconds } from '../command.js'
import { interrupted } from '../interrupted.js'
import { thingOf } from '../place.js'
import { INTERVAL_OPTIONS, type Rates, ratesOf } from '../rates.js'
import { short } from '../units.js'

/** Shows how many messages pass. */
export const hz: Command = {
  name: 'hz',
  parameters: ['<domain>/<queue|topic>'],
  options: INTERVAL_OPTIONS,
  summary: 'show how many messages pass a second; takes no part in the domain',
  async run({ positionals, where, json, values }) {
    const { domain, name } = thingOf(positionals[0]!)
    const interval = milliseconds('interval', values['interval']) ?? 1000
    const most = count('count', values['count']) ?? Infinity
    let lines = 0
    for await (const rates of ratesOf(domain, name, where, interval, interrupted())) {
      console.log(json ? JSON.stringify(rates) : told(rates))
      if (++lines >= most) break
    }
    return 0
  },
}

function told({ sent, received, dropped, depth }: Rates): string {
  return `sent ${short(sent)}/s, received ${short(received)}/s, dropped ${short(dropped)}/s, depth ${depth}`
}
