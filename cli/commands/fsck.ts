import { type Finding, ShmObserver, type Snapshot } from '../../index.js'
import { type Command, milliseconds } from '../command.js'
import { withProgress } from '../progress.js'
import { plural } from '../units.js'

/** Compares all records of a live domain with each other. */
export const fsck: Command = {
  name: 'fsck',
  parameters: ['<domain>'],
  options: { timeout: { value: '<ms>', summary: 'how long to try to bring the domain to rest; default: 10 000' } },
  summary: 'check that every buffer is free, held or queued exactly as recorded',
  async run({ positionals, where, json, values }) {
    const timeout = milliseconds('timeout', values['timeout'])
    using observer = ShmObserver.open(positionals[0]!, where)
    const checking = observer.fsck(timeout === undefined ? {} : { timeout })
    const findings = await withProgress(() => `fsck ${positionals[0]}`, checking)
    // What cannot be read is a finding already.
    const snapshot = findings.some(({ kind }) => kind === 'segment') ? undefined : observer.snapshot()
    console.log(json ? JSON.stringify({ domain: positionals[0], findings }, undefined, 2) : told(findings, snapshot))
    return findings.length === 0 ? 0 : 1
  },
}

function told(findings: Finding[], snapshot: Snapshot | undefined): string {
  const lines = findings.map(({ kind, message }) => `${kind}: ${message}`)
  if (snapshot === undefined) return lines.join('\n')
  const { domain, participants, queues, workQueues, pools } = snapshot
  const buffers = pools.reduce((sum, pool) => sum + pool.buffers, 0)
  const checked = [
    plural(participants.length, 'participant'),
    plural(queues.length + workQueues.length, 'queue'),
    plural(buffers, 'buffer'),
  ]
  const off = findings.length === 1 ? '1 thing is off' : `${findings.length} things are off`
  return [...lines, `${domain}: ${findings.length === 0 ? 'clean' : off} (${checked.join(', ')})`].join('\n')
}
