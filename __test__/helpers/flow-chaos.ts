// Chaos of a flow: its processes are killed at random; in the end every message is accounted for.
import { ShmManager } from '../../index.js'
import type { FlowChaosArgs, FlowChaosEnd } from '../fixtures/flow-chaos.js'
import { startChild } from '../process/children.js'
import type { Stage } from './chaos.js'
import { buffersInUse, leftovers, traceOf } from './domain.js'

export type FlowChaosOptions = Omit<FlowChaosArgs, 'domain'>

/** What chaos came to. */
export interface FlowChaosOutcome extends FlowChaosEnd {
  /** Messages that deaths took with them. */
  lost: number
  /** Messages delivered once more. */
  redelivered: number
  /** What is not as it must be: nothing. */
  problems: string[]
}

/** Runs a flow, kills its processes, and accounts for it. */
export async function chaosOfFlow(stage: Stage, options: FlowChaosOptions): Promise<FlowChaosOutcome> {
  const domain = `flow-chaos-${process.pid}-${Date.now() % 1e6}`
  const shm = ShmManager.open(domain)
  stage.teardown(() => shm.close())
  let reported = 0
  shm.on('participant-lost', ({ lost }) => (reported += lost))
  const first = startChild(stage, 'flow-chaos', { domain, ...options } satisfies FlowChaosArgs)
  const end = await first.hear<FlowChaosEnd>()
  await first.done()
  const problems = (await shm.fsck()).map(({ message }) => `fsck: ${message}`)
  const { queues, participants, recovered } = shm.registry.snapshot()
  const [lost, redelivered] = [recovered.lost, recovered.redelivered]
  const left = {
    queues: queues.map(({ name }) => name),
    participants: participants.slice(1).map(({ name }) => name),
    buffers: buffersInUse(shm),
    processes: end.alive,
  }
  const trace = traceOf(shm)
  shm.close()
  for (const [what, of] of Object.entries({ ...left, files: leftovers(trace) })) {
    if (String(of) !== '' && of !== 0) problems.push(`left: ${what} ${String(of)}`)
  }
  if (reported !== lost) problems.push(`reports told of ${reported} lost messages, and ${lost} were`)
  problems.push(...(options.delivery === 'at-most-once' ? onceAtMost(end, lost) : onceAtLeast(end, lost, redelivered)))
  return { ...end, lost, redelivered, problems }
}

/** What came is what was sent, less what is in the reports, in order. */
function onceAtMost({ sent, came }: FlowChaosEnd, lost: number): string[] {
  const problems = came.flatMap(({ late, again }, source) =>
    late + again > 0 ? [`source ${source}: ${late} came after later ones, ${again} again`] : [],
  )
  const [all, distinct] = [sum(sent), sum(came.map((one) => one.distinct))]
  if (all !== distinct + lost) problems.push(`${all} sent, ${distinct} came, ${lost} reported lost`)
  return problems
}

/** Everything came, each first time in order; what came again had been delivered again. */
function onceAtLeast({ sent, came }: FlowChaosEnd, lost: number, redelivered: number): string[] {
  const problems = came.flatMap(({ late, distinct }, source) =>
    late > 0 || distinct !== sent[source]
      ? [`source ${source}: ${distinct} of ${sent[source]} came, ${late} after later ones`]
      : [],
  )
  const [again, marked] = [sum(came.map((one) => one.again)), sum(came.map((one) => one.marked))]
  if (lost > 0) problems.push(`${lost} reported lost`)
  if (marked !== again) problems.push(`${again} came again, ${marked} of them say so`)
  if (again > redelivered) problems.push(`${again} came again, ${redelivered} had been delivered again`)
  return problems
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
