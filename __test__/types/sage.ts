// What the compiler knows of SageQueues. Nothing here runs.
import { expectTypeOf } from 'expect-type'
import { type Codec, SageQueue, type SageQueueEntry, SageQueueManager } from '../../index.js'

interface Job {
  id: number
  at: Date
}
declare const jobCodec: Codec<Job>

export function check(): void {
  expectTypeOf(new SageQueue('jobs')).toEqualTypeOf<SageQueue>()
  expectTypeOf(new SageQueue('jobs', { maxsize: 4, codec: 'msgpack' })).toEqualTypeOf<SageQueue>()
  expectTypeOf(new SageQueue('jobs', { codec: jobCodec })).toEqualTypeOf<SageQueue<Job>>()
  expectTypeOf(new SageQueue<Job>('jobs', { codec: 'v8' })).toEqualTypeOf<SageQueue<Job>>()
  // @ts-expect-error bytes are no jobs: values of any kind need a codec for them
  void new SageQueue<Job>('jobs', { codec: 'bytes' })
  // @ts-expect-error JSON makes a text of a date
  void new SageQueue<Job>('jobs', { codec: 'json' })
  // @ts-expect-error a codec for jobs carries no text
  void new SageQueue<string>('jobs', { codec: jobCodec })
  // @ts-expect-error there is no such mode
  void new SageQueue('jobs', { acknowledge: 'never' })

  const jobs = new SageQueue<Job>('jobs')
  expectTypeOf(jobs).toExtend<Disposable>()
  expectTypeOf<Parameters<typeof jobs.put>[0]>().toEqualTypeOf<Job>()
  expectTypeOf<Parameters<typeof jobs.putNowait>[0]>().toEqualTypeOf<Job>()
  expectTypeOf<Parameters<typeof jobs.taskDone>>().toEqualTypeOf<[] | [value: Job]>()
  expectTypeOf(jobs.get({ timeout: 5000 })).resolves.toEqualTypeOf<Job>()
  expectTypeOf(jobs.getNowait()).toEqualTypeOf<Job>()
  expectTypeOf(jobs.peek()).toEqualTypeOf<Job>()
  expectTypeOf(jobs.join()).resolves.toEqualTypeOf<void>()
  // @ts-expect-error a job has a date
  void jobs.put({ id: 1 })

  expectTypeOf(SageQueueManager.list()).toEqualTypeOf<SageQueueEntry[]>()
  expectTypeOf(SageQueueManager.get<Job>('jobs')).toEqualTypeOf<SageQueue<Job> | undefined>()
  expectTypeOf(SageQueueManager.destroy('jobs')).toEqualTypeOf<boolean>()
  expectTypeOf(SageQueueManager.cleanup()).toEqualTypeOf<string[]>()
}
