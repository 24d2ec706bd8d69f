import { setTimeout as sleep } from 'node:timers/promises'
import { Program } from '../lib/control.js'
import { inDomain, usageOf } from '../lib/domain.js'
import { type Contender, noMoreThan, type Scenario } from '../lib/row.js'

const PROCESSES = 8

/** What participants cost that wait for a message which does not come. */
export const idle: Scenario = {
  name: 'idle',
  title: 'CPU time of participants that wait',
  rows({ quick }) {
    const seconds = quick ? 3 : 30
    return [
      {
        id: 'idle-cpu',
        title: `CPU time of a process that waits for a message, ${PROCESSES} of them for ${seconds} s`,
        unit: '% of a core',
        better: 'lower',
        // Long, and not a matter of chance.
        rounds: 1,
        contenders: quick ? [parked(seconds)] : [parked(seconds), nothing(seconds)],
        targets: [noMoreThan(0.3, '0.3 % of a core')],
      },
    ]
  },
}

function parked(seconds: number): Contender {
  return {
    name: 'Millrace',
    measure: () =>
      inDomain(async (domain) => {
        const members = await domain.join(PROCESSES)
        const names = domain.queues('parked', PROCESSES, 1)
        await Promise.all(members.map((member, i) => member.request('park', names[i])))
        return await watch(members, seconds)
      }),
  }
}

/** The floor: Node processes that wait for a request of the suite, and nothing else. */
function nothing(seconds: number): Contender {
  return {
    name: 'Node.js alone',
    async measure() {
      const programs = Array.from({ length: PROCESSES }, () => Program.process('nothing', null))
      const sample = await watch(programs, seconds)
      await Promise.all(programs.map((program) => program.stop()))
      return sample
    },
  }
}

async function watch(programs: readonly Program[], seconds: number) {
  // What starting left behind (compilation, garbage) is not waiting.
  await sleep(1000)
  await usageOf(programs)
  const before = await usageOf(programs)
  await sleep(seconds * 1000)
  const after = await usageOf(programs)
  const cpuSeconds = after.cpuSeconds - before.cpuSeconds
  return { value: (cpuSeconds / seconds / programs.length) * 100, rssMib: after.rssMib }
}
