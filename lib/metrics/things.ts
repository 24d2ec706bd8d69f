// What is measured in a domain: its things, each with the attributes that tell it apart.
import type { ParticipantStats, PoolStats, QueueStats, Snapshot, TopicStats } from '../session/snapshot.js'

/** Which thing of which domain a value is of, as OpenTelemetry names it. */
export type Attributes = Record<string, string | number>

/** A thing in a domain, and its numbers. */
export interface Thing<S> {
  readonly attributes: Attributes
  readonly stats: S
}

/** Everything that messages are sent to. Those of a topic are counted once, however many subscriptions it has. */
export function targets(snapshot: Snapshot): Thing<{ sent: number }>[] {
  const published = snapshot.topics.map((topic) => thing(destination(topic.name, 'topic'), { sent: topic.published }))
  return [...queues(snapshot), ...published]
}

/** Everything that messages are received from. */
export function sources(snapshot: Snapshot): Thing<QueueStats>[] {
  const subscriptions = snapshot.topics.flatMap(({ name: topic, subscriptions: all }) =>
    all.map((stats) => {
      const { name, participant, epoch } = stats
      const which = {
        'messaging.destination.subscription.name': name,
        'millrace.participant.id': `${participant}.${epoch}`,
      }
      return thing({ ...destination(topic, 'subscription'), ...which }, stats)
    }),
  )
  return [...queues(snapshot), ...subscriptions]
}

function queues({ queues: ports, workQueues, services }: Snapshot): Thing<QueueStats>[] {
  const requests = services.flatMap((service) => service.requests ?? [])
  const kinds = { queue: ports, work: workQueues, requests }
  return Object.entries(kinds).flatMap(([kind, all]) => all.map((stats) => thing(destination(stats.name, kind), stats)))
}

/** Topics. */
export function topics({ topics: all }: Snapshot): Thing<TopicStats>[] {
  return all.map((stats) => thing({ 'messaging.destination.name': stats.name }, stats))
}

/** Who takes part. */
export function participants({ participants: all }: Snapshot): Thing<ParticipantStats>[] {
  return all.map((stats) => {
    const { slot, epoch, name, pid } = stats
    const who = { 'millrace.participant.id': `${slot}.${epoch}`, 'millrace.participant.name': name, 'process.pid': pid }
    return thing(who, stats)
  })
}

/** Sizes of buffers. */
export function pools({ pools: all }: Snapshot): Thing<PoolStats>[] {
  return all.map((stats) => thing({ 'millrace.buffer.size': stats.bufferBytes }, stats))
}

/** The domain itself. */
export function domain(snapshot: Snapshot): Thing<Snapshot>[] {
  return [thing({}, snapshot)]
}

function destination(name: string, kind: string): Attributes {
  return { 'messaging.destination.name': name, 'millrace.queue.kind': kind }
}

function thing<S>(attributes: Attributes, stats: S): Thing<S> {
  return { attributes, stats }
}
