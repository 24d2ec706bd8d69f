// What is measured: the one table of which OpenMetrics, OpenTelemetry, the dashboard and docs/metrics.md are made.
import { invalidArgument } from '../errors.js'
import type { Snapshot } from '../session/snapshot.js'
import { type Group, group, type Instrument, type Point } from './group.js'
import { domain, participants, pools, sources, targets, topics } from './things.js'

const MESSAGE = '{message}'
const DESTINATION = ['messaging.destination.name', 'millrace.queue.kind']
const PARTICIPANT = 'millrace.participant.id'

/** In the order of the documents. */
export const GROUPS: readonly Group[] = [
  group('Sending', DESTINATION, targets, [
    {
      name: 'messaging.client.sent.messages',
      kind: 'counter',
      unit: MESSAGE,
      description: 'Messages sent or published, those included that found no room and were passed over.',
      attributes: { 'messaging.operation.name': 'send' },
      value: ({ sent }) => sent,
    },
  ]),
  group('Queues', [...DESTINATION, 'messaging.destination.subscription.name', PARTICIPANT], sources, [
    {
      name: 'messaging.client.consumed.messages',
      kind: 'counter',
      unit: MESSAGE,
      description: 'Messages delivered to receivers, each delivery counted.',
      attributes: { 'messaging.operation.name': 'receive' },
      value: ({ received, redelivered }) => received + redelivered,
    },
    {
      name: 'millrace.queue.redelivered.messages',
      kind: 'counter',
      unit: MESSAGE,
      description: 'Deliveries that were not the first of their message.',
      value: ({ redelivered }) => redelivered,
    },
    {
      name: 'millrace.queue.dropped.messages',
      kind: 'counter',
      unit: MESSAGE,
      description: 'Messages lost to the overflow policy.',
      value: ({ dropped }) => dropped,
    },
    {
      name: 'millrace.queue.dead_lettered.messages',
      kind: 'counter',
      unit: MESSAGE,
      description: 'Messages moved to the dead-letter queue.',
      value: ({ deadLettered }) => deadLettered,
    },
    {
      name: 'millrace.queue.depth',
      kind: 'updowncounter',
      unit: MESSAGE,
      description: 'Messages in the queue.',
      value: ({ depth }) => depth,
    },
    {
      name: 'millrace.queue.limit',
      kind: 'updowncounter',
      unit: MESSAGE,
      description: 'Messages that the queue takes.',
      value: ({ limit, capacity }) => limit || capacity,
    },
    {
      name: 'millrace.queue.unacknowledged',
      kind: 'updowncounter',
      unit: MESSAGE,
      description: 'Messages that receivers have and have not acknowledged.',
      value: ({ leased }) => leased,
    },
    {
      name: 'millrace.queue.send.waits',
      kind: 'counter',
      unit: '{wait}',
      description: 'Times that a sender waited for room.',
      value: ({ sendWaits }) => sendWaits,
    },
    {
      name: 'millrace.queue.receive.waits',
      kind: 'counter',
      unit: '{wait}',
      description: 'Times that a receiver waited for a message.',
      value: ({ receiveWaits }) => receiveWaits,
    },
    {
      name: 'millrace.queue.participants',
      kind: 'updowncounter',
      unit: '{participant}',
      description: 'Participants that have the queue open.',
      value: ({ attached }) => attached,
    },
  ]),
  group('Topics', ['messaging.destination.name'], topics, [
    {
      name: 'millrace.topic.subscriptions',
      kind: 'updowncounter',
      unit: '{subscription}',
      description: 'Subscriptions of the topic.',
      value: ({ subscriptions }) => subscriptions.length,
    },
    {
      name: 'millrace.topic.kept',
      kind: 'updowncounter',
      unit: MESSAGE,
      description: 'Messages kept for those who subscribe later.',
      value: ({ kept }) => kept,
    },
  ]),
  group('Participants', [PARTICIPANT, 'millrace.participant.name', 'process.pid'], participants, [
    {
      name: 'millrace.participant.sent',
      kind: 'counter',
      unit: MESSAGE,
      description: 'Messages that the participant has sent.',
      value: ({ sent }) => sent,
    },
    {
      name: 'millrace.participant.received',
      kind: 'counter',
      unit: MESSAGE,
      description: 'Messages that the participant has received, each delivery counted.',
      value: ({ received }) => received,
    },
    {
      name: 'millrace.participant.held',
      kind: 'updowncounter',
      unit: '{reference}',
      description:
        'References to buffers that the participant holds, those to rings of queues that it has open included.',
      value: ({ held }) => held,
    },
    {
      name: 'millrace.participant.stalled',
      kind: 'updowncounter',
      unit: '{participant}',
      description:
        '1 if the participant is alive and does not run: stopped by a signal, a debugger, a paused container.',
      value: ({ stalled }) => (stalled === null ? 0 : 1),
    },
  ]),
  group('Pools', ['millrace.buffer.size'], pools, [
    {
      name: 'millrace.pool.buffers',
      kind: 'updowncounter',
      unit: '{buffer}',
      description: 'Buffers of that size that there are.',
      value: ({ buffers }) => buffers,
    },
    {
      name: 'millrace.pool.used',
      kind: 'updowncounter',
      unit: '{buffer}',
      description: 'Buffers of that size in use, rings of queues included.',
      value: ({ used }) => used,
    },
  ]),
  group('Domains', [], domain, [
    {
      name: 'millrace.domain.used',
      kind: 'updowncounter',
      unit: 'By',
      description: 'Bytes of all segments together.',
      value: ({ usedBytes }) => usedBytes,
    },
    {
      name: 'millrace.domain.limit',
      kind: 'updowncounter',
      unit: 'By',
      description: 'Pool budget, `maxBytes`.',
      value: ({ maxBytes }) => maxBytes,
    },
    {
      name: 'millrace.domain.participants',
      kind: 'updowncounter',
      unit: '{participant}',
      description: 'Participants, those included that have died and are not recovered yet.',
      value: ({ participants: all }) => all.length,
    },
    {
      name: 'millrace.domain.damaged',
      kind: 'updowncounter',
      unit: '{segment}',
      description: 'Segments that cannot be read.',
      value: ({ damaged }) => damaged.length,
    },
    {
      name: 'millrace.domain.deaths',
      kind: 'counter',
      unit: '{participant}',
      description: 'Deaths of participants that were recovered.',
      value: ({ recoveries }) => recoveries,
    },
    {
      name: 'millrace.domain.freed.buffers',
      kind: 'counter',
      unit: '{buffer}',
      description: 'Buffers that came back from the dead.',
      value: ({ recovered }) => recovered.freed,
    },
    {
      name: 'millrace.domain.lost.messages',
      kind: 'counter',
      unit: MESSAGE,
      description: 'Messages that were lost with the dead.',
      value: ({ recovered }) => recovered.lost,
    },
  ]),
]

/** Everything that is measured. */
export const INSTRUMENTS: readonly Instrument[] = GROUPS.flatMap(({ instruments }) => instruments)

/**
 * All values of all instruments.
 * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT` when two snapshots are of domains of the same name: their values could not be told
 * apart
 */
export function pointsOf(snapshots: readonly Snapshot[]): Map<Instrument, Point[]> {
  const points = new Map<Instrument, Point[]>(INSTRUMENTS.map((instrument) => [instrument, []]))
  const names = new Set<string>()
  for (const snapshot of snapshots) {
    if (names.has(snapshot.domain)) throw invalidArgument('snapshots', 'of domains of different names', snapshot.domain)
    names.add(snapshot.domain)
    for (const { instruments, points: measure } of GROUPS) {
      for (const [at, values] of measure(snapshot).entries()) points.get(instruments[at]!)!.push(...values)
    }
  }
  return points
}
