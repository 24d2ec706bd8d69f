import { MillraceError } from '../errors.js'
import type { ShmManager } from '../domain/manager.js'
import type { ChildOptions } from './child-options.js'
import type { PlaceHere } from './place.js'
import { PLACE_VARIABLE } from './place.js'
import { Supervisor } from './supervisor.js'
import type { Wired } from './wiring.js'

/** Starts the processes of a flow: each runs this program, and in it the blocks that are its own. */
export function startProcesses(
  flow: string,
  shm: ShmManager,
  processes: ReadonlyMap<string, Partial<ChildOptions>>,
  { crossings, queues }: Pick<Wired, 'crossings' | 'queues'>,
): Supervisor {
  const supervisor = new Supervisor({ shm })
  supervisor.on('queue', ({ name }, { queue, event }) => {
    if (event === 'made') queues.adopt(queue)
    else crossings.find((crossing) => crossing.queue.name === queue)?.left(event, name)
  })
  supervisor.on('exited', ({ name, phase }) => {
    for (const crossing of crossings) {
      if (phase === 'ended' || phase === 'gave-up') crossing.ended(name)
      else crossing.restarts(name)
    }
  })
  for (const [name, options] of processes) {
    const place: PlaceHere = { flow, process: name }
    const env = { ...options.env, [PLACE_VARIABLE]: JSON.stringify(place) }
    supervisor.start(name, { module: process.argv[1]!, args: process.argv.slice(2), ...options, env })
  }
  return supervisor
}

/** Resolves when all processes have ended. @throws `MillraceError` `ERR_MILLRACE_BLOCK_FAILED`, which names those that failed */
export async function processesEnded(flow: string, supervisor: Supervisor): Promise<void> {
  await supervisor.ended()
  if (supervisor.failed.length === 0) return
  const names = supervisor.failed.map(({ name, lastExit }) => {
    const { code, signal, error } = lastExit!
    return `'${name}' (${error ?? signal ?? `exit code ${code}`})`
  })
  throw new MillraceError('ERR_MILLRACE_BLOCK_FAILED', `processes of flow '${flow}' failed: ${names.join(', ')}`)
}
