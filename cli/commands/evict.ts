import {
  type EvictOptions,
  MillraceError,
  type ParticipantStats,
  type RecoveryReport,
  ShmObserver,
} from '../../index.js'
import { type Command, milliseconds } from '../command.js'
import { repairOf } from '../inspected.js'
import { withProgress } from '../progress.js'

/** Ends a participant. */
export const evict: Command = {
  name: 'evict',
  parameters: ['<domain>', '<participant>'],
  options: { timeout: { value: '<ms>', summary: 'how long to wait for its end and its recovery; default: 10 000' } },
  summary:
    'end a participant, stopped or running, with `kill -9`: its whole process; the slot is that of `inspect`, as 3.1',
  async run({ positionals, where, json, values }) {
    const [domain, participant] = positionals as [string, string]
    const timeout = milliseconds('timeout', values['timeout'])
    const ending = evictParticipant(domain, participant, where, timeout === undefined ? {} : { timeout })
    const report = await withProgress(() => `evict ${domain} ${participant}`, ending)
    console.log(json ? JSON.stringify({ domain, report }, undefined, 2) : toldOf(report))
    return 0
  },
}

/** Ends the participant of the domain whose slot, with or without its epoch, is `participant`. */
export async function evictParticipant(
  domain: string,
  participant: string,
  where: { directory?: string },
  options: EvictOptions = {},
): Promise<RecoveryReport> {
  using observer = ShmObserver.open(domain, where)
  return await observer.evict(participantOf(observer.snapshot().participants, domain, participant), options)
}

/** A line that says what that came to. */
export function toldOf(report: RecoveryReport): string {
  const { slot, epoch, pid, name } = report
  const who = `participant ${slot}.${epoch} (process ${pid}, ${name}) has been ended`
  return `${who}: ${repairOf(report)}`
}

/** The participant whose slot, with or without its epoch, is `text`. */
function participantOf(participants: ParticipantStats[], domain: string, text: string): ParticipantStats {
  const found = participants.find(({ slot, epoch }) => text === `${slot}.${epoch}` || text === `${slot}`)
  if (found !== undefined) return found
  const there = participants.map(({ slot, epoch, pid, name }) => `${slot}.${epoch} (process ${pid}, ${name})`)
  const message = `domain ${JSON.stringify(domain)} has no participant ${JSON.stringify(text)}; it has ${there.join(', ') || 'none'}`
  throw new MillraceError('ERR_MILLRACE_NOT_FOUND', message)
}
