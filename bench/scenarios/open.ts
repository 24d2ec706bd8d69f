import { inDomain, type MemberJob } from '../lib/domain.js'
import { Program } from '../lib/control.js'
import { inFolder } from '../lib/pair.js'
import type { Latency, Sample } from '../lib/result.js'
import { type Contender, noMoreThan, type Scenario } from '../lib/row.js'

const TIMES = 50

/** What `ShmManager.open` takes. */
export const opening: Scenario = {
  name: 'open',
  title: 'time to open a domain',
  rows: () => [
    {
      id: 'open',
      title: `ShmManager.open, ${TIMES} times in one process, p50`,
      unit: 'us',
      better: 'lower',
      contenders: [attach, create],
      targets: [noMoreThan(5000, '5 ms')],
    },
  ],
}

/** The domain is there, with a pool and a queue. */
const attach: Contender = {
  name: 'attach to a domain',
  measure: () =>
    inDomain(async (domain) => {
      domain.queues('some', 1)
      const [member] = await domain.join(1)
      return sampleOf(await member!.request<Latency>('open', { name: domain.shm.domain, times: TIMES }))
    }),
}

/** It is made anew each time, and goes with its only participant. */
const create: Contender = {
  name: 'create a domain',
  measure: () =>
    inFolder(async (directory) => {
      const member = Program.process('member', { directory, domain: 'another' } satisfies MemberJob)
      const latency = await member.request<Latency>('open', { name: 'fresh', times: TIMES })
      await member.stop()
      return sampleOf(latency)
    }),
}

function sampleOf(latency: Latency): Sample {
  return { value: latency.p50, latency }
}
