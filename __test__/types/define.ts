// What the compiler knows of definitions. Nothing here runs.
import { expectTypeOf } from 'expect-type'
import type { Codec, PortQueue, QueueDefinition, Service, ShmManager, StandardSchema, Topic } from '../../index.js'
import { defineQueue, defineService, defineTopic } from '../../index.js'

interface Job {
  id: number
}
interface Dated {
  at: Date
}
declare const shm: ShmManager
declare const job: StandardSchema<Job>
declare const dated: StandardSchema<Dated>
declare const datedCodec: Codec<Dated>

export function check(): void {
  const jobs = defineQueue({ name: 'jobs', codec: 'json', schema: job })
  expectTypeOf(jobs).toEqualTypeOf<QueueDefinition<Job>>()
  expectTypeOf(shm.portQueue(jobs)).toEqualTypeOf<PortQueue<Job>>()
  expectTypeOf(shm.portQueue(defineQueue({ name: 'raw' }))).toEqualTypeOf<PortQueue>()
  expectTypeOf(shm.portQueue(defineQueue<Job>({ name: 'jobs', codec: 'v8' }))).toEqualTypeOf<PortQueue<Job>>()
  expectTypeOf(shm.portQueue(defineQueue({ name: 'any', codec: 'json' }))).toEqualTypeOf<PortQueue<unknown>>()
  expectTypeOf(shm.topic(defineTopic({ name: 'any', codec: 'v8' }))).toEqualTypeOf<Topic<unknown>>()
  expectTypeOf(shm.portQueue(defineQueue({ name: 'dated', codec: datedCodec }))).toEqualTypeOf<PortQueue<Dated>>()
  expectTypeOf(shm.topic(defineTopic({ name: 'jobs', codec: 'json', schema: job }))).toEqualTypeOf<Topic<Job>>()
  const count = defineService<Job, number>({ name: 'count', codec: 'json', schema: job })
  expectTypeOf(shm.service(count)).toEqualTypeOf<Service<Job, number>>()
  expectTypeOf(shm.service(defineService({ name: 'any', codec: 'json' }))).toEqualTypeOf<Service<unknown, unknown>>()
  expectTypeOf(shm.service(defineService({ name: 'buffers' }))).toEqualTypeOf<Service>()
  // @ts-expect-error JSON makes a text of a date, in a reply too
  defineService<Job, Dated>({ name: 'dated', codec: 'json' })
  // @ts-expect-error values need a codec
  defineQueue<Job>({ name: 'jobs' })
  // @ts-expect-error JSON makes a text of a date
  defineQueue({ name: 'dated', codec: 'json', schema: dated })
  // @ts-expect-error it is a queue
  shm.topic(jobs)
}
