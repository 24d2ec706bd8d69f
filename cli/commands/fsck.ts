import { type Finding, ShmObserver, type Snapshot } from '../../index.js'
import { type Command, milliseconds, plural, take } from '../command.js'

/** Compares all records of a live domain with each other. */
export const fsck: Command = {
  name: 'fsck',
  usage: 'fsck <domain> [--json] [--timeout <ms>] [--directory <path>]',
  summary: 'check that every buffer is free, held or queued exactly as recorded',
  async run(args) {
    const { positionals, directory, json, values } = take(args, 1, ['timeout'])
    const timeout = milliseconds('timeout', values['timeout'])
    using observer = ShmObserver.open(positionals[0]!, directory === undefined ? {} : { directory })
    const findings = await observer.fsck(timeout === undefined ? {} : { timeout })
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
