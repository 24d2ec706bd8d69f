import { ShmManager } from '../../index.js'
import { Program, type Usage } from './control.js'
import { inFolder } from './pair.js'
import type { Sample } from './result.js'
import type { Contender, Settings } from './row.js'

/** What a participant is started with. */
export interface MemberJob {
  readonly directory: string
  readonly domain: string
  readonly maxBytes?: number
}

/** What a producer does. */
export interface Production {
  /** Queues, in turn. */
  readonly queues: readonly string[]
  readonly bytes: number
  /** Messages to a call. */
  readonly batch: number
  readonly ms: number
  /** Copied in by `putMany`; or allocated, filled and sent. */
  readonly style: 'copied' | 'filled'
}

/** A domain with participants in processes of their own; this process is one as well, to make queues and to look. */
export class Domain {
  readonly shm: ShmManager
  readonly directory: string
  readonly #members: Program[] = []
  readonly #close = () => this.shm.close()

  constructor(directory: string, maxBytes = 2 ** 30) {
    this.directory = directory
    this.shm = ShmManager.open(DOMAIN, { directory, maxBytes })
    process.once('exit', this.#close)
  }

  /** Starts participants; resolves when each is one. */
  async join(count: number): Promise<Program[]> {
    const job: MemberJob = { directory: this.directory, domain: DOMAIN }
    const joined: Program[] = []
    // A few at a time: the machine is small.
    while (joined.length < count) {
      const some = Array.from({ length: Math.min(4, count - joined.length) }, () => Program.process('member', job))
      this.#members.push(...some)
      await Promise.all(some.map((member) => member.usage()))
      joined.push(...some)
    }
    return joined
  }

  /** Makes `count` queues and answers their names. */
  queues(prefix: string, count: number, capacity = 1024): string[] {
    return Array.from({ length: count }, (_, i) => this.shm.portQueue(`${prefix}-${i}`, { capacity }).name)
  }

  /** Ends all. */
  async end(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.stop()))
    process.off('exit', this.#close)
    this.#close()
  }
}

const DOMAIN = 'bench'

/** Does something with a domain of its own, which is gone afterwards. */
export function inDomain<T>(use: (domain: Domain) => Promise<T>, maxBytes?: number): Promise<T> {
  return inFolder(async (folder) => {
    const domain = new Domain(folder, maxBytes)
    const result = await use(domain)
    await domain.end()
    return result
  })
}

/** How many of everything a stream has. */
export interface Shape {
  readonly name: string
  readonly producers?: number
  readonly consumers?: number
  readonly queues?: number
  /** Participants that are there and do nothing but wait for a message of a queue of their own. */
  readonly parked?: number
  readonly bytes?: number
  readonly batch?: number
  readonly style?: Production['style']
}

/** Messages from producers through queues to consumers, each a process. Each message goes to one consumer. */
export function shape(of: Shape): Contender {
  return { name: of.name, measure: (settings) => inDomain((domain) => runShape(domain, of, settings)) }
}

async function runShape(domain: Domain, of: Shape, { warmupMs, timedMs }: Settings): Promise<Sample> {
  const { producers = 1, consumers = 1, queues = 1, parked = 0, bytes = 64, batch = 64, style = 'copied' } = of
  const idle = await domain.join(parked)
  await Promise.all(idle.map((member, i) => member.request('park', domain.queues(`parked-${i}`, 1, 1)[0])))
  const sources = await domain.join(producers)
  const sinks = await domain.join(consumers)
  const all = [...sources, ...sinks]
  // Long queues in few, short ones in many: as much may be on its way.
  const capacity = Math.max(batch, Math.floor(4096 / queues))
  const stream = async (prefix: string, ms: number) => {
    const names = domain.queues(prefix, queues, capacity)
    await Promise.all(sinks.map((sink) => sink.request('consume', names)))
    const production: Production = { queues: names, bytes, batch, ms, style }
    const before = await usageOf(all)
    const started = performance.now()
    const counts = await Promise.all(sources.map((source) => source.request<number>('produce', production)))
    for (const name of names) domain.shm.portQueue(name).close()
    const received = await Promise.all(sinks.map((sink) => sink.request<number>('consumed', names)))
    const seconds = (performance.now() - started) / 1e3
    const after = await usageOf(all)
    const [sent, arrived] = [counts, received].map((values) => values.reduce((sum, value) => sum + value, 0))
    if (sent !== arrived) throw new Error(`${sent} messages were sent, ${arrived} arrived`)
    for (const name of names) domain.shm.portQueue(name).destroy()
    const cpuSeconds = after.cpuSeconds - before.cpuSeconds
    return { value: sent! / seconds, cpuPerMillion: (cpuSeconds / sent!) * 1e6, rssMib: after.rssMib }
  }
  await stream('warm', warmupMs)
  return await stream('timed', timedMs)
}

/** What several programs have used together. */
export async function usageOf(programs: readonly Program[]): Promise<Usage> {
  const usages = await Promise.all(programs.map((program) => program.usage()))
  return {
    cpuSeconds: usages.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
    rssMib: usages.reduce((sum, { rssMib }) => sum + rssMib, 0),
  }
}
