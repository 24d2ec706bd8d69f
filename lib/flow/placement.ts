import { hasCode, MillraceError } from '../errors.js'
import type { ShmManager } from '../domain/manager.js'
import type { PortQueue } from '../queue/port-queue.js'
import type { ChildOptions } from './child-options.js'
import { Supervisor } from './supervisor.js'

/** Bears a {@link Place}, as JSON. */
const PLACE_VARIABLE = 'MILLRACE_FLOW'

/** Which process of which flow this one is. */
interface Place {
  readonly flow: string
  readonly process: string
}

/** Where all copies of this package in a process (ESM and CommonJS) find the place, once it is taken from the environment. */
const PLACE = Symbol.for('millrace.flow.place')
const shared = globalThis as { [PLACE]?: Place | null }

/** undefined: this process is the one that was started by somebody else than a flow. */
export function placeHere(): Place | undefined {
  if (shared[PLACE] === undefined) {
    const text = process.env[PLACE_VARIABLE]
    // Processes that this one starts have no place in the flow.
    delete process.env[PLACE_VARIABLE]
    shared[PLACE] = text === undefined ? null : (JSON.parse(text) as Place)
  }
  return shared[PLACE] ?? undefined
}

/** A queue between blocks of different processes; undefined: the one that starts the others. */
export interface Crossing {
  readonly queue: PortQueue<unknown>
  readonly processes: readonly (string | undefined)[]
}

/** Starts the processes of a flow: each runs this program, and in it the blocks that are its own. */
export function startProcesses(
  flow: string,
  shm: ShmManager,
  processes: ReadonlyMap<string, Partial<ChildOptions>>,
  crossings: readonly Crossing[],
): Supervisor {
  const supervisor = new Supervisor({ shm })
  supervisor.on('exited', ({ name, phase }) => {
    if (phase !== 'ended' && phase !== 'gave-up') return
    // Nobody sends or takes any more there: its neighbours end, too.
    for (const { queue, processes: ends } of crossings) if (ends.includes(name)) closeQuietly(queue)
  })
  for (const [name, options] of processes) {
    const place: Place = { flow, process: name }
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

function closeQuietly(queue: PortQueue<unknown>): void {
  try {
    if (!queue.session.closed) queue.close()
  } catch (error) {
    // The block that took from it has ended before.
    if (!hasCode(error, 'ERR_MILLRACE_DESTROYED')) throw error
  }
}
