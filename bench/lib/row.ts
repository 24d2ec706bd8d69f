import { root } from './paths.js'
import { mergeLatencies, medianOf, round as rounded, spreadOf } from './numbers.js'
import type { ContenderResult, RowResult, Sample, TargetResult, Unit } from './result.js'

/** How long and how often; the same for every contender of a row. */
export interface Settings {
  readonly quick: boolean
  readonly rounds: number
  /** Untimed work of each round, in the processes that are timed afterwards. */
  readonly warmupMs: number
  /** Timed work of each round. */
  readonly timedMs: number
}

/** Somebody who does a row's work. */
export interface Contender {
  readonly name: string
  /** Answers why it cannot run here, or nothing. Asked once, before the first round. */
  absent?(): Promise<string | undefined>
  /** One round, in fresh processes. */
  measure(settings: Settings): Promise<Sample>
}

/** What a row wants of its first contender. */
export interface Target {
  readonly text: string
  /** The figure that is compared with `limit`; undefined when an anchor is absent. */
  actual(of: (name: string) => ContenderResult | undefined, subject: ContenderResult): number | undefined
  readonly better: 'higher' | 'lower'
  readonly limit: number
}

/** One line of the table, before it was measured. The first contender is the subject, the others are its anchors. */
export interface Row {
  readonly id: string
  readonly title: string
  readonly unit: Unit
  readonly better: 'higher' | 'lower'
  readonly contenders: readonly Contender[]
  readonly targets?: readonly Target[]
  /** Figures measured elsewhere, for the eye. */
  readonly beside?: string
  /** Fewer rounds than the settings say, for rows whose single round takes long. */
  readonly rounds?: number
}

/** One file in `scenarios/`. */
export interface Scenario {
  readonly name: string
  /** What it measures, for `--list`. */
  readonly title: string
  rows(settings: Settings): readonly Row[]
}

type Figure = (result: ContenderResult) => number | undefined
const median: Figure = (result) => (result.skipped === undefined ? result.median : undefined)
const p99: Figure = (result) => result.latency?.p99

function ratio(limit: number, better: Target['better'], text: string, anchors: readonly string[], figure: Figure) {
  return {
    text,
    limit,
    better,
    actual(of, subject) {
      const measured = anchors.map((name) => of(name)).map((result) => result && figure(result))
      const known = measured.filter((value) => value !== undefined)
      const own = figure(subject)
      if (known.length === 0 || own === undefined) return undefined
      return own / (better === 'higher' ? Math.max(...known) : Math.min(...known))
    },
  } satisfies Target
}

/** At least `limit` times the best of `anchors`. */
export function atLeast(limit: number, ...anchors: string[]): Target {
  return ratio(limit, 'higher', `≥ ${limit} × ${anchors.join(', ')}`, anchors, median)
}

/** At most `limit` times the best of `anchors`. */
export function atMost(limit: number, ...anchors: string[]): Target {
  return ratio(limit, 'lower', `≤ ${limit} × ${anchors.join(', ')}`, anchors, median)
}

/** The 99th percentile at most `limit` times that of the best of `anchors`. */
export function p99AtMost(limit: number, ...anchors: string[]): Target {
  return ratio(limit, 'lower', `p99 ≤ ${limit} × ${anchors.join(', ')}`, anchors, p99)
}

/** At least `limit`, in the row's unit. */
export function noLessThan(limit: number, text: string): Target {
  return { text: `≥ ${text}`, limit, better: 'higher', actual: (_, subject) => median(subject) }
}

/** At most `limit`, in the row's unit. */
export function noMoreThan(limit: number, text: string): Target {
  return { text: `≤ ${text}`, limit, better: 'lower', actual: (_, subject) => median(subject) }
}

/** At least (higher) or at most (lower) `limit` times a figure that was not measured in this run. */
export function comparedTo(figure: number, limit: number, better: Target['better'], text: string): Target {
  return { text, limit, better, actual: (_, subject) => subject.median / figure }
}

/** Measures a row: contenders in turn (A B A B …), so that what else the machine does meets all of them. */
export async function measureRow(
  scenario: string,
  row: Row,
  settings: Settings,
  onRound: (done: number, contender: string) => void,
): Promise<RowResult> {
  const reasons = new Map<Contender, string>()
  for (const contender of row.contenders) {
    const reason = await contender.absent?.()
    if (reason !== undefined) reasons.set(contender, reason)
  }
  const samples = new Map(row.contenders.map((contender) => [contender, [] as Sample[]]))
  const repeated = new Map<Contender, number>()
  const rounds = Math.min(row.rounds ?? settings.rounds, settings.rounds)
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of row.contenders.entries()) {
      if (reasons.has(contender)) continue
      onRound((round + index / row.contenders.length) / rounds, contender.name)
      const { sample, failures } = await measureRound(contender, settings, index === 0 ? 1 : PEER_TRIES)
      if (sample === undefined) {
        // What the others have shown so far is not to be lost.
        reasons.set(contender, `FAILED in round ${round + 1}: ${failures.at(-1)}`)
      } else {
        samples.get(contender)!.push(sample)
        repeated.set(contender, (repeated.get(contender) ?? 0) + failures.length)
      }
    }
  }
  const contenders = row.contenders.map((contender) => {
    const reason = reasons.get(contender)
    if (reason === undefined) return summarize(contender.name, samples.get(contender)!, repeated.get(contender))
    return { name: contender.name, values: [], median: 0, min: 0, max: 0, skipped: reason }
  })
  const { id, title, unit, better, beside } = row
  const targets = (row.targets ?? []).map((target) => judge(target, contenders))
  return { id, scenario, title, unit, better, contenders, targets, ...(beside !== undefined && { beside }) }
}

/** How often a peer may try a round: some hang now and then, and a row without its anchor says nothing. The subject has one try. */
const PEER_TRIES = 3

async function measureRound(contender: Contender, settings: Settings, tries: number) {
  const failures: string[] = []
  while (failures.length < tries) {
    try {
      return { sample: await inTime(contender.measure(settings)), failures }
    } catch (error) {
      // Results are published: not where the package lies.
      failures.push((error as Error).message.trim().replaceAll(root, ''))
    }
  }
  return { failures }
}

/** Far beyond what any round takes: only a hang is as long. */
const ROUND_MS_MAX = 180_000

async function inTime<T>(measured: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no result after ${ROUND_MS_MAX / 1000} s`)), ROUND_MS_MAX)
  })
  try {
    return await Promise.race([measured, late])
  } finally {
    clearTimeout(timer)
  }
}

function summarize(name: string, samples: readonly Sample[], repeated = 0): ContenderResult {
  const values = samples.map(({ value }) => rounded(value))
  const cpu = samples.map((sample) => sample.cpuPerMillion).filter((value) => value !== undefined)
  const rss = samples.map((sample) => sample.rssMib).filter((value) => value !== undefined)
  const latencies = samples.map((sample) => sample.latency).filter((value) => value !== undefined)
  return {
    name,
    ...spreadOf(values),
    values,
    ...(repeated > 0 && { repeated }),
    ...(cpu.length > 0 && { cpuPerMillion: rounded(medianOf(cpu)) }),
    ...(rss.length > 0 && { rssMib: Math.round(medianOf(rss)) }),
    ...(latencies.length > 0 && { latency: mergeLatencies(latencies) }),
  }
}

function judge(target: Target, contenders: readonly ContenderResult[]): TargetResult {
  const { text, better, limit } = target
  const [subject] = contenders
  const of = (name: string) => contenders.find((result) => result.name === name)
  const actual = subject === undefined || subject.skipped !== undefined ? undefined : target.actual(of, subject)
  if (actual === undefined) return { text, actual: null, met: null }
  return { text, actual: rounded(actual), met: better === 'higher' ? actual >= limit : actual <= limit }
}
