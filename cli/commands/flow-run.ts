import { child, Flow, type FlowData, parseFlow, type Run, validateFlow } from '../../flow.js'
import { MillraceError, ShmManager } from '../../index.js'
import { type Command, EXIT_LOST, milliseconds } from '../command.js'
import { type FlowFile, readFlowFile, toldFaults } from '../flow-file.js'
import { told } from '../flow-report.js'

/** A block has failed, or a process of the flow. */
const EXIT_FAILED = 1
/** The file is no flow. */
const EXIT_TROUBLE = 2

/** Runs a flow until it ends, or is interrupted; in the processes that it starts the same command runs their parts. */
export const flowRun: Command = {
  name: 'flow run',
  parameters: ['<file>'],
  options: {
    domain: { value: '<name>', summary: 'domain to run in, instead of the one that the file names' },
    'max-bytes': { value: '<size>', summary: 'pool budget of the domain, as 512MiB' },
    timeout: { value: '<ms>', summary: 'how long a drain may take' },
  },
  summary: 'run a flow; the first SIGINT drains it, for --timeout at most, the second ends it at once',
  async run({ positionals, where, json, values }) {
    const timeout = milliseconds('timeout', values['timeout'])
    const file = readFlowFile(positionals[0]!)
    const { text, base } = file
    const { name, domain } = (parseFlow(text) as Partial<FlowData> | null) ?? {}
    const me = child()
    const maxBytes = values['max-bytes'] ?? domain?.maxBytes
    const open = (): ShmManager =>
      ShmManager.open(values['domain'] ?? domain?.name ?? name!, {
        name: me.name ?? 'flow',
        ...where,
        ...(maxBytes !== undefined && { maxBytes }),
      })
    using shm = await openFor(file, open)
    if (shm === null) return EXIT_TROUBLE
    const flow = await Flow.fromJSON(shm, text, { base })
    const run = await flow.start()
    const error = await failureOf(flow, run, timeout)
    console.log(told(flow, run, error, json))
    // The process that has started this one tells of all: it must not start it again for what is lost.
    if (flow.process !== undefined) me.lost(run.lost)
    else if (run.lost > 0) return EXIT_LOST
    return error === undefined ? 0 : EXIT_FAILED
  },
}

/** Opens the domain; null: it cannot be, for the file is no flow, which has been told. */
async function openFor({ path, text, base }: FlowFile, open: () => ShmManager): Promise<ShmManager | null> {
  try {
    return open()
  } catch (error) {
    const faults = await validateFlow(text, { base })
    if (faults.length === 0) throw error
    console.error(toldFaults(path, faults))
    return null
  }
}

/** How the run fails; undefined: it does not. */
async function failureOf({ name }: Flow, run: Run, timeout = Infinity): Promise<MillraceError | undefined> {
  const { stopping } = child()
  const interrupted = new Promise((resolve) => {
    if (stopping.aborted) resolve(undefined)
    else stopping.addEventListener('abort', resolve, { once: true })
  })
  try {
    await Promise.race([run.done, interrupted])
    if (!stopping.aborted) await run.done
    else {
      console.error(`${name}: draining; a second SIGINT ends it at once`)
      await run.drain({ timeout })
    }
    return undefined
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
}
