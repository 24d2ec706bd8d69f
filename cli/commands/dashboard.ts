import { MillraceError } from '../../index.js'
import { type Command, count } from '../command.js'
import { DashboardServer } from '../dashboard/server.js'
import { Watch } from '../dashboard/watch.js'
import { interrupted } from '../interrupted.js'

/** Shows what goes on as a page of a browser. */
export const dashboard: Command = {
  name: 'dashboard',
  parameters: ['[domain…]'],
  options: { port: { value: '<n>', summary: 'port of 127.0.0.1; default: one that is free' } },
  summary:
    'serve a page that shows what goes on in all domains, or in some, and the last hour, until it is interrupted; takes part in none',
  async run({ positionals, where, json, values }) {
    const port = count('port', values['port']) ?? 0
    const signal = interrupted()
    const watch = new Watch(positionals, where)
    const server = await listen(watch, port)
    console.log(json ? JSON.stringify({ url: server.url }) : `${server.url}\nCtrl-C ends it.`)
    await watch.run(signal).finally(() => server.close())
    return 0
  },
}

async function listen(watch: Watch, port: number): Promise<DashboardServer> {
  try {
    return await DashboardServer.listen(watch, port)
  } catch (error) {
    const message = `cannot listen on port ${port} of 127.0.0.1: ${(error as Error).message}`
    throw new MillraceError('ERR_MILLRACE_IO', message)
  }
}
