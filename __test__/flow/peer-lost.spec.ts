// The process behind a link is killed: what becomes of whoever sends.
import test, { type ExecutionContext } from 'ava'
import type { ChildState, OnPeerLost } from '../../flow.js'
import { flow, NullSink, NullSource } from '../../flow.js'
import type { FlowPeerArgs } from '../fixtures/flow-peer.js'
import { openDomain, testDomain } from '../helpers/domain.js'
import { throwsCode } from '../helpers/errors.js'
import { count, nothingLeft } from '../helpers/flow.js'
import { startChild, until } from '../process/children.js'

interface Ending {
  sent: number
  near: number
  back: number[]
  itemsOut: number
  undelivered: number
  dropped: Record<string, number>
  processes: Record<string, ChildState>
  error: string | null
}

/** Starts the flow and kills the process, after that has worked for a while. */
async function startAndKill(t: ExecutionContext, onPeerLost: OnPeerLost) {
  t.timeout(60_000)
  const domain = testDomain(t)
  const shm = domain.open()
  const first = startChild(t, 'flow-peer', { domain: domain.name, onPeerLost } satisfies FlowPeerArgs)
  const far = () => shm.registry.snapshot().participants.find(({ name }) => name === 'far')
  await until(() => (far()?.received ?? 0) > 100)
  const { pid } = far()!
  process.kill(pid, 'SIGKILL')
  await until(() => far()?.pid !== pid)
  /** Whoever sends goes on: 500 values come here. */
  const more = async () => {
    first.say('more')
    await first.heard('more')
  }
  const end = async () => {
    const ending = await first.hear<Ending>()
    await first.done()
    nothingLeft(t, shm)
    t.deepEqual(await shm.fsck(), [])
    t.is(ending.near, ending.sent)
    // Each value went to both, or is counted.
    t.is(ending.itemsOut + ending.undelivered, 2 * ending.sent)
    return ending
  }
  return { shm, first, far, more, end }
}

const sorted = (values: readonly number[]) => values.toSorted((one, other) => one - other)

test.serial('block: whoever sends waits for the restart, and all arrives', async (t) => {
  const { first, far, end } = await startAndKill(t, 'block')
  await until(() => far() !== undefined)
  first.say('drain')
  const { sent, back, dropped, undelivered, processes, error } = await end()
  t.is(error, null)
  t.deepEqual(sorted(back), [...count(sent)])
  t.deepEqual([dropped, undelivered], [{}, 0])
  t.like(processes, { far: { phase: 'ended', restarts: 1 } })
})

test.serial(
  'detach: whoever sends goes on without it, and the restarted process takes what was sent before',
  async (t) => {
    const { first, more, far, end } = await startAndKill(t, 'detach')
    await more()
    await until(() => far() !== undefined)
    first.say('drain')
    const { sent, back, undelivered, processes, error } = await end()
    t.is(error, null)
    t.true(undelivered > 0)
    t.is(back.length, sent - undelivered)
    t.deepEqual(sorted(back), [...count(back.length)])
    t.like(processes, { far: { phase: 'ended', restarts: 1 } })
  },
)

test.serial('drop: what comes until the restart is dropped and counted', async (t) => {
  const { first, more, far, end } = await startAndKill(t, 'drop')
  await more()
  await until(() => (far()?.received ?? 0) > 100)
  first.say('drain')
  const { sent, back, dropped, undelivered, processes, error } = await end()
  t.is(error, null)
  const lost = dropped['peer.far.in']!
  t.true(lost >= 500)
  // What the dead one had sent on and not acknowledged is dropped when it is delivered again.
  t.true([sent, sent + 1].includes(back.length + lost), `${sent} sent, ${back.length} back, ${lost} dropped`)
  t.is(undelivered, 0)
  t.like(processes, { far: { phase: 'ended', restarts: 1 } })
})

test.serial('fail: the flow fails, by the names of port and process', async (t) => {
  const { end } = await startAndKill(t, 'fail')
  const { error, processes } = await end()
  t.is(error, 'flow "peer" has lost process "far" with block "far" (SIGKILL), to which read.out → far.in leads')
  t.like(processes, { far: { phase: 'ended', restarts: 0 } })
})

test('another word is refused', (t) => {
  const f = flow('word', openDomain(t))
  const [from, to] = [f.add(new NullSource({ size: 1 })), f.add(new NullSink())]
  const link = () => f.link(from.out, to.in, { onPeerLost: 'wait' as OnPeerLost })
  throwsCode(t, link, 'ERR_MILLRACE_INVALID_ARGUMENT', 'onPeerLost of link', '"wait"')
})
