// Chaos: processes that do everything at once are killed, stopped and replaced at random; in the end every message is accounted for.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { type QueueStats, SageQueue, ShmManager, type Service } from '../../index.js'
import type { ChaosArgs, Feature, Question } from '../fixtures/chaos.js'
import { idOfValue, IDS_PER_CHILD, isReply, MAXSIZE, readStream } from '../fixtures/chaos.js'
import { type Child, startChild } from '../process/children.js'
import { randomNumbers } from './random.js'

/** Where chaos lets go of what it has started: a test. */
export type Stage = Pick<ExecutionContext, 'teardown'>

export interface ChaosOptions {
  feature: Feature
  seconds: number
  seed: number
  children?: number
}

/** What chaos came to. */
export interface Outcome {
  kills: number
  stops: number
  /** What each participant did, by kind of step. */
  counts: Record<string, number>
  /** What is not as it must be: nothing. */
  problems: string[]
}

/** Runs chaos over `feature`, and accounts for it. */
export async function chaos(stage: Stage, options: ChaosOptions): Promise<Outcome> {
  const run = new Run(stage, options)
  await run.storm()
  if (!run.failed) await run.calm()
  return await run.account()
}

const ENDED = 'a child ended by itself: '

class Run {
  readonly #stage: Stage
  readonly #options: Required<ChaosOptions>
  readonly #random: (below: number) => number
  readonly #domain = `chaos-${process.pid}-${Date.now() % 1e6}`
  readonly #journals = mkdtempSync(join(tmpdir(), 'millrace-chaos-'))
  readonly #shm: ShmManager
  readonly #problems: string[] = []
  readonly #children: Child[] = []
  readonly #starting: Promise<void>[] = []
  readonly #dead: number[] = []
  readonly #reported = new Map<number, number>()
  readonly #work: Promise<unknown>[] = []
  /** Ids that the topic brought here, in order. */
  readonly #heard: number[] = []
  #sage: SageQueue<Uint8Array> | undefined
  #started = 0
  #stops = 0
  #calm = false

  constructor(stage: Stage, options: ChaosOptions) {
    this.#stage = stage
    this.#options = { children: 4, ...options }
    this.#random = randomNumbers(options.seed)
    this.#shm = ShmManager.open(this.#domain, { maxBytes: '8MiB' })
    stage.teardown(() => {
      this.#sage?.close()
      this.#shm.close()
      rmSync(this.#journals, { recursive: true })
    })
    this.#shm.on('participant-lost', ({ pid, lost }) => this.#reported.set(pid, lost))
    this.#prepare()
  }

  /** Whether a child ended that nobody killed: there is no account to give then. */
  get failed(): boolean {
    return this.#problems.some((problem) => problem.startsWith(ENDED))
  }

  /** Kills, stops and replaces children for as long as was asked for. */
  async storm(): Promise<void> {
    const { children, seconds } = this.#options
    await Promise.all(Array.from({ length: children }, () => this.#start()))
    const end = performance.now() + seconds * 1000
    while (performance.now() < end && !this.failed) {
      await setTimeout(20 + this.#random(150))
      const act = this.#random(10)
      if (act < 4) await this.#kill(this.#pick(1))
      else if (act < 6) await this.#kill(this.#pick(2 + this.#random(children - 2)))
      else await this.#stopSome()
      // Never nobody.
      while (this.#children.length < 2 && !this.failed) await this.#starting[0]
    }
    await Promise.all(this.#starting)
  }

  /** Lets everybody finish. */
  async calm(): Promise<void> {
    this.#calm = true
    for (const child of this.#children) child.say('stop')
    await Promise.all(this.#children.map((child) => child.heard('stopped')))
    const { feature } = this.#options
    if (feature === 'queues') {
      for (const name of ['work', 'fast']) this.#shm.portQueue(name).close()
      this.#shm.topic('topic').close()
    }
    if (feature === 'sage') {
      await this.#sage!.join()
      this.#sage!.shutdown()
    }
    for (const child of this.#children) child.say('end')
    await Promise.all(this.#children.map((child) => child.done()))
    await Promise.all(this.#work)
  }

  async account(): Promise<Outcome> {
    const { feature } = this.#options
    const steps = this.#steps()
    if (this.failed) return { kills: this.#dead.length, stops: this.#stops, counts: {}, problems: this.#problems }
    if (feature === 'queues') {
      this.#atLeastOnce(steps, 'work')
      this.#atLeastOnce(steps, 'topic')
      this.#atMostOnce(steps)
      this.#topicHere(steps)
      for (const name of ['work', 'fast']) this.#shm.portQueue(name).destroy()
      this.#shm.topic('topic').destroy()
    }
    if (feature === 'services') {
      const asked = new Set(idsOf(steps, '<asked'))
      const unasked = idsOf(steps, '=asked').filter((id) => !asked.has(id))
      this.#expect(unasked.length === 0, `${unasked.length} requests were answered that nobody ran`)
      this.#expect(this.#shm.registry.snapshot().queues.length === 0, 'queues are left of services')
    }
    if (feature === 'sage') this.#atLeastOnce(steps, 'jobs')
    await this.#nothingIsLeft()
    const counts = Object.fromEntries([...steps].map(([what, lists]) => [what, lists.flat().length]))
    return { kills: this.#dead.length, stops: this.#stops, counts, problems: this.#problems }
  }

  /** What exists before the first child comes, and what is done here meanwhile. */
  #prepare(): void {
    const { feature } = this.#options
    if (feature === 'queues') {
      this.#shm.portQueue('work', { capacity: 64, delivery: 'at-least-once' })
      this.#shm.portQueue('fast', { capacity: 16 })
      const topic = this.#shm.topic('topic', {})
      topic.subscribe({ name: 'all', capacity: 32, delivery: 'at-least-once' })
      const own = topic.subscribe({ capacity: 64 })
      this.#work.push(this.#hear(own))
    }
    if (feature === 'services') {
      const service = this.#shm.service<Question, number>('service', { codec: 'json' })
      this.#work.push(this.#ask(service).finally(() => service.close()))
    }
    if (feature === 'sage') {
      this.#sage = new SageQueue('jobs', { domain: this.#domain, maxsize: MAXSIZE })
      this.#work.push(this.#watchSize())
    }
  }

  async #hear(own: AsyncIterable<{ bytes: Uint8Array; gap: number }>): Promise<void> {
    for await (const { bytes, gap } of own) {
      this.#expect(gap === 0, `${gap} messages of the topic are missing here`)
      this.#heard.push(idOfValue(bytes))
    }
  }

  /** Requests and streams of one who is not killed: each comes to its right end. */
  async #ask(service: Service<Question, number>): Promise<void> {
    for (let id = 0; !this.#calm; id++) {
      isReply(id, await service.request({ id }, { retry: 100 }))
      await readStream(service, id, 50)
    }
  }

  /** What is put keeps the limit; what the dead had in work comes back whatever is in the queue. */
  async #watchSize(): Promise<void> {
    while (!this.#calm) {
      const [{ depth, pending }] = this.#shm.registry.snapshot().workQueues as [QueueStats]
      this.#expect(depth - pending <= MAXSIZE, `a SageQueue of ${MAXSIZE} holds ${depth}, ${pending} of them again`)
      await setTimeout(5)
    }
  }

  async #start(): Promise<void> {
    const number = ++this.#started
    const journal = join(this.#journals, `${number}`)
    const { feature } = this.#options
    const args: ChaosArgs = { domain: this.#domain, feature, child: number, journal }
    const child = startChild(this.#stage, 'chaos', args)
    this.#work.push(
      child.ended.then(({ code, signal, stderr }) => this.#expect(signal === 'SIGKILL' || code === 0, ENDED + stderr)),
    )
    this.#children.push(await child.heard('started'))
  }

  /** Starts another one, which joins the others when it is ready. */
  #replace(): void {
    const starting = this.#start().finally(() => this.#starting.splice(this.#starting.indexOf(starting), 1))
    this.#starting.push(starting)
  }

  /** Takes so many of the children, if there are as many. */
  #pick(count: number): Child[] {
    const some = Math.min(count, this.#children.length)
    return Array.from({ length: some }, () => this.#children.splice(this.#random(this.#children.length), 1)[0]!)
  }

  async #kill(victims: Child[]): Promise<void> {
    for (const victim of victims) victim.signal('SIGKILL')
    await Promise.all(victims.map(({ ended }) => ended))
    this.#dead.push(...victims.map(({ pid }) => pid))
    for (const _ of victims) this.#replace()
  }

  /** Stops some for a while; one of them may die meanwhile. */
  async #stopSome(): Promise<void> {
    const some = this.#pick(1 + this.#random(this.#children.length))
    for (const child of some) child.signal('SIGSTOP')
    this.#stops += some.length
    await setTimeout(10 + this.#random(120))
    if (this.#random(3) === 0) await this.#kill(some.splice(0, 1))
    for (const child of some) child.signal('SIGCONT')
    this.#children.push(...some)
  }

  /** What every child wrote down: by kind of step, a list of ids a child. */
  #steps(): Map<string, number[][]> {
    const steps = new Map<string, number[][]>()
    for (const file of readdirSync(this.#journals)) {
      const own = new Map<string, number[]>()
      for (const line of readFileSync(join(this.#journals, file), 'utf8').split('\n')) {
        const [what, id] = line.split(' ')
        if (id === undefined) continue
        const ids = own.get(what!) ?? []
        own.set(what!, ids)
        ids.push(Number(id))
      }
      for (const [what, ids] of own) steps.set(what, [...(steps.get(what) ?? []), ids])
    }
    return steps
  }

  /** Everything that was sent came, and was acknowledged once; it came twice only if who had it before died. */
  #atLeastOnce(steps: Map<string, number[][]>, what: string): void {
    const [meant, sent] = [new Set(idsOf(steps, `+${what}`)), idsOf(steps, `=${what}`)]
    const taken = countsOf(idsOf(steps, `<${what}`))
    const finished = countsOf(idsOf(steps, `>${what}`))
    const missing = sent.filter((id) => !taken.has(id))
    this.#expect(missing.length === 0, `${what}: ${missing.length} of ${sent.length} did not come, e.g. ${missing[0]}`)
    for (const [id, count] of taken) {
      this.#expect(meant.has(id), `${what}: ${id} came, and nobody sent it`)
      const ended = finished.get(id) ?? 0
      // Who was killed right after it had acknowledged did not write that down.
      this.#expect(
        ended <= 1 && (ended === 1 || this.#dead.length > 0),
        `${what}: ${id} was acknowledged ${ended} times`,
      )
      this.#expect(count === 1 || this.#dead.length > 0, `${what}: ${id} came ${count} times`)
    }
    const again = [...taken.values()].reduce((sum, count) => sum + count - 1, 0)
    this.#expect(again <= this.#dead.length, `${what}: ${again} came again after ${this.#dead.length} deaths`)
  }

  /** Nothing came twice, and what did not come is what the reports say was lost, but for what a death left unknown. */
  #atMostOnce(steps: Map<string, number[][]>): void {
    const sent = idsOf(steps, '=fast')
    const unknown = idsOf(steps, '+fast').length - sent.length
    const taken = countsOf(idsOf(steps, '<fast'))
    for (const [id, count] of taken) this.#expect(count === 1, `fast: ${id} came ${count} times`)
    const missing = sent.filter((id) => !taken.has(id)).length
    // Written down by one who died before it had written down that it let go.
    const inHand = taken.size - countsOf(idsOf(steps, '>fast')).size
    const lost = [...this.#reported.values()].reduce((sum, count) => sum + count, 0)
    const fits = lost >= missing && lost <= missing + inHand + unknown
    this.#expect(fits, `fast: ${missing} missing, ${lost} reported lost, ${inHand} in hand, ${unknown} unknown`)
  }

  /** The topic brought here everything once, and what each publisher sent in order. */
  #topicHere(steps: Map<string, number[][]>): void {
    const meant = new Set(idsOf(steps, '+topic'))
    const last = new Map<number, number>()
    for (const id of this.#heard) {
      const publisher = Math.floor(id / IDS_PER_CHILD)
      this.#expect(meant.has(id), `topic: ${id} came here, and nobody published it`)
      this.#expect(id > (last.get(publisher) ?? -1), `topic: ${id} came here after ${last.get(publisher)}`)
      last.set(publisher, id)
    }
    const heard = new Set(this.#heard)
    const missing = idsOf(steps, '=topic').filter((id) => !heard.has(id))
    this.#expect(missing.length === 0, `topic: ${missing.length} did not come here, e.g. ${missing[0]}`)
  }

  async #nothingIsLeft(): Promise<void> {
    const unreported = this.#dead.filter((pid) => !this.#reported.has(pid))
    this.#expect(unreported.length === 0, `${unreported.length} of ${this.#dead.length} deaths were not reported`)
    this.#sage?.destroy()
    const findings = await this.#shm.fsck()
    this.#problems.push(...findings.map(({ message }) => `fsck: ${message}`))
    const { participants, pools } = this.#shm.registry.snapshot()
    this.#expect(participants.length === 1, `${participants.length} participants are left`)
    const used = pools.reduce((sum, pool) => sum + pool.used - pool.rings, 0)
    this.#expect(used === 0, `${used} buffers are in use`)
  }

  #expect(holds: boolean, problem: string): void {
    if (!holds && this.#problems.length < 20) this.#problems.push(problem)
  }
}

function idsOf(steps: Map<string, number[][]>, what: string): number[] {
  return (steps.get(what) ?? []).flat()
}

function countsOf(ids: number[]): Map<number, number> {
  const counts = new Map<number, number>()
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
  return counts
}
