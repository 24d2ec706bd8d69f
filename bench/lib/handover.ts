import type { HandoverJob } from '../programs/handover.js'
import { Program } from './control.js'
import { inFolder } from './pair.js'
import type { Sample } from './result.js'
import type { Contender } from './row.js'

/** Buffers that were filled once and go round between two processes; each way counts, there or back. */
export function handover(name: string, bytes: number, buffers: number, batches: boolean): Contender {
  return {
    name,
    measure: ({ warmupMs, timedMs }) =>
      inFolder(async (folder): Promise<Sample> => {
        const job = { folder, bytes, buffers, batches }
        const far = Program.process('handover', { ...job, side: 'far' } satisfies HandoverJob)
        await far.request('ready')
        const near = Program.process('handover', { ...job, side: 'near' } satisfies HandoverJob)
        await near.request('run', warmupMs)
        const before = await far.usage()
        const timed = await near.request<{ handedOver: number; seconds: number; cpuSeconds: number }>('run', timedMs)
        const [there, here] = await Promise.all([far.usage(), near.usage()])
        await Promise.all([near.stop(), far.stop()])
        const cpuSeconds = timed.cpuSeconds + there.cpuSeconds - before.cpuSeconds
        return {
          value: timed.handedOver / timed.seconds,
          cpuPerMillion: (cpuSeconds / timed.handedOver) * 1e6,
          rssMib: there.rssMib + here.rssMib,
        }
      }),
  }
}
