// The side that is started first, and that sends what is streamed. Starts the other one.
import { jobOf, ownUsage, Program, serve, type Usage } from '../lib/control.js'
import type { Latency, Sample } from '../lib/result.js'
import {
  payloadsOf,
  Pings,
  roundTrips,
  type RoundTripWork,
  type ScheduleWork,
  sendOnSchedule,
  streamFor,
  type StreamWork,
  type Work,
} from '../lib/work.js'
import { transportOf } from '../peers/index.js'

const { name, folder, work } = jobOf<{ name: string; folder: string; work: Work }>()
const transport = transportOf(name)
const inThread = transport.place === 'worker'
const farJob = { name, folder, work }
const far = inThread ? Program.worker('far', farJob) : Program.process('far', farJob, transport.serialization)
const opening = transport.near({ folder, bytes: work.bytes, channel: far.channel })
await far.request('open')
const end = await opening
const pings = new Pings()
if (work.kind === 'round-trip') end.receive(pings.arrive)

serve({ measure }, async () => {
  await far.stop()
  await end.close()
})

async function measure({ warmupMs, timedMs }: { warmupMs: number; timedMs: number }): Promise<Sample> {
  if (work.kind === 'stream') return await measureStream(work, warmupMs, timedMs)
  if (work.kind === 'schedule') return await measureSchedule(work, warmupMs, timedMs)
  return await measureRoundTrip(work, warmupMs, timedMs)
}

async function measureStream(stream: StreamWork, warmupMs: number, timedMs: number): Promise<Sample> {
  const payloads = payloadsOf(stream.bytes)
  const before = await streamFor(end, stream, payloads, 0, warmupMs)
  await far.request('reached', before)
  gc?.()
  const usage = await usageOfAll()
  const started = performance.now()
  const total = await streamFor(end, stream, payloads, before, timedMs)
  await far.request('reached', total)
  const seconds = (performance.now() - started) / 1e3
  return { value: (total - before) / seconds, ...(await cost(usage, total - before)) }
}

async function measureRoundTrip(trips: RoundTripWork, warmupMs: number, timedMs: number): Promise<Sample> {
  await roundTrips(end, pings, trips, warmupMs)
  gc?.()
  const usage = await usageOfAll()
  const latency = await roundTrips(end, pings, trips, timedMs)
  return { value: latency.p50, latency, ...(await cost(usage, latency.count)) }
}

/** CPU time would say nothing here: the sender waits awake. */
async function measureSchedule(schedule: ScheduleWork, warmupMs: number, timedMs: number): Promise<Sample> {
  const before = await sendOnSchedule(end, schedule, warmupMs)
  await far.request('arrivals', before)
  gc?.()
  const total = before + (await sendOnSchedule(end, schedule, timedMs))
  const latency = await far.request<Latency>('arrivals', total)
  return { value: latency.p50, latency }
}

async function usageOfAll(): Promise<Usage> {
  const [near, there] = [ownUsage(), inThread ? undefined : await far.usage()]
  return {
    cpuSeconds: near.cpuSeconds + (there?.cpuSeconds ?? 0) + (end.helpersCpuSeconds?.() ?? 0),
    rssMib: near.rssMib + (there?.rssMib ?? 0),
  }
}

async function cost(before: Usage, messages: number): Promise<Pick<Sample, 'cpuPerMillion' | 'rssMib'>> {
  const { cpuSeconds, rssMib } = await usageOfAll()
  return { cpuPerMillion: ((cpuSeconds - before.cpuSeconds) / messages) * 1e6, rssMib }
}
