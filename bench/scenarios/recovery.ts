import { setTimeout as sleep } from 'node:timers/promises'
import type { RecoveryReport } from '../../index.js'
import { Program } from '../lib/control.js'
import { type Domain, inDomain, type MemberJob } from '../lib/domain.js'
import { type Contender, noMoreThan, type Row, type Scenario } from '../lib/row.js'

const BUFFERS = 65_536
const BYTES = 64
const RUN_MS = 400

const longestStep: Row = {
  id: 'recovery-stall',
  title: `longest single step of a survivor's trySend/tryReceive loop of ${RUN_MS} ms`,
  unit: 'ms',
  better: 'lower',
  contenders: [
    contender('a holder is killed', async (domain, survivor) => (await kill(domain, survivor)).stall),
    // What the machine itself does to such a loop.
    contender('nobody dies', async (_, survivor) => await survivor.request<number>('run', RUN_MS)),
  ],
  targets: [noMoreThan(5, '5 ms')],
}

const comeBack: Row = {
  id: 'recovery-return',
  title: `from the kill until all ${BUFFERS} references are back, while a survivor works`,
  unit: 'ms',
  better: 'lower',
  contenders: [contender('Millrace', async (domain, survivor) => (await kill(domain, survivor)).back)],
  targets: [noMoreThan(100, '100 ms')],
}

/** A process that holds 65 536 buffers is killed while another one sends and receives without pause. */
export const recovery: Scenario = {
  name: 'recovery',
  title: `what a kill -9 of a process that holds ${BUFFERS} buffers costs the others`,
  rows: ({ quick }) => (quick ? [longestStep] : [longestStep, comeBack]),
}

function contender(name: string, measure: (domain: Domain, survivor: Program) => Promise<number>): Contender {
  return {
    name,
    measure: () =>
      inDomain(async (domain) => {
        const survivor = Program.process('survivor', { directory: domain.directory, domain: domain.shm.domain })
        await survivor.request('ready')
        await survivor.request('run', 100)
        const value = await measure(domain, survivor)
        await survivor.stop()
        return { value }
      }),
  }
}

async function kill(domain: Domain, survivor: Program): Promise<{ stall: number; back: number }> {
  const { directory, shm } = domain
  const victim = Program.process('member', { directory, domain: shm.domain } satisfies MemberJob)
  await victim.request('hold', { bytes: BYTES, count: BUFFERS })
  const running = survivor.request<number>('run', RUN_MS)
  await sleep(RUN_MS / 4)
  const killedAtMs = Date.now()
  await victim.kill()
  const stall = await running
  const { freed, atMs } = await survivor.request<RecoveryReport>('report')
  if (freed !== BUFFERS) throw new Error(`${freed} of ${BUFFERS} buffers came back`)
  return { stall, back: Math.max(1, atMs - killedAtMs) }
}
