import test from 'ava'
import type { StandardSchema } from '../../index.js'
import { defineQueue, defineService, defineTopic } from '../../index.js'
import { openDomain, testDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

interface Job {
  id: number
}

/** Takes `{ id }`, also as a text of digits, of which it makes a number. */
const job: StandardSchema<Job> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate(value) {
      const id = Number((value as Partial<Job> | null)?.id)
      return Number.isInteger(id) ? { value: { id } } : { issues: [{ message: 'is no whole number', path: ['id'] }] }
    },
  },
}

const later: StandardSchema<Job> = {
  '~standard': { version: 1, vendor: 'test', validate: async () => ({ issues: [{ message: 'later' }] }) },
}

const INVALID = 'ERR_MILLRACE_INVALID_ARGUMENT'

test('one definition is both sides of a queue, and what is put is what its validator makes of it', async (t) => {
  const domain = testDomain(t)
  const jobs = defineQueue({ name: 'jobs', codec: 'json', capacity: 8, delivery: 'at-least-once', schema: job })
  const [from, to] = [domain.open().portQueue(jobs), domain.open().portQueue(jobs)]
  t.like(from.info, { name: 'jobs', codec: 'json', capacity: 8, delivery: 'at-least-once' })
  await from.put({ id: '7' as never })
  await from.putMany([{ id: 8 }])
  t.deepEqual(to.getMany(9), [{ id: 7 }, { id: 8 }])
  const message = 'a value for queue "jobs" is not what its schema asks for: id: is no whole number'
  await rejectsCode(t, from.put({ id: 'x' as never }), INVALID, message)
  throwsCode(t, () => from.tryPut(null as never), INVALID, message)
  // Whoever names the codec alone is not held to it.
  t.true(domain.open().portQueue('jobs', { codec: 'json' }).tryPut('x'))
  t.deepEqual(to.getMany(9), ['x' as never])
})

test('topics and services', async (t) => {
  const domain = testDomain(t)
  const [here, there] = [domain.open(), domain.open()]
  const topic = here.topic(defineTopic({ name: 'jobs', codec: 'v8', history: 4, schema: job }))
  await topic.put({ id: 1 })
  t.is(topic.info?.history, 4)
  await rejectsCode(t, topic.put({ id: 0.5 }), INVALID, 'topic "jobs"', 'id: is no whole number')

  const twice = defineService<Job, Job>({ name: 'twice', codec: 'json', schema: job, replySchema: job })
  void there.service(twice).serve(({ id }) => ({ id: id === 3 ? 0.5 : 2 * id }))
  const client = here.service(twice)
  t.deepEqual(await client.request({ id: 2 }), { id: 4 })
  await rejectsCode(t, client.request({ id: 0.5 }), INVALID, 'requests to service "twice"')
  await rejectsCode(t, client.request({ id: 3 }), INVALID, 'replies of service "twice"')
  const plain = defineService({ name: 'plain' })
  void there.service(plain).serve((request) => request)
  using reply = await here.service(plain).request(new Uint8Array(3))
  t.is(reply.length, 3)
})

test('a definition is of one kind, and its validator need not be waited for', async (t) => {
  const shm = openDomain(t)
  const jobs = defineQueue({ name: 'jobs', codec: 'json', schema: later })
  await rejectsCode(
    t,
    shm.portQueue(jobs).put({ id: 1 }),
    INVALID,
    'the schema of queue "jobs" validates asynchronously',
  )
  throwsCode(t, () => shm.topic(jobs as never), INVALID, 'a topic was asked for by the definition of queue "jobs"')
  throwsCode(t, () => defineQueue({ name: 'a/b' }), 'ERR_MILLRACE_INVALID_NAME', '"a/b"')
  throwsCode(
    t,
    () => defineQueue({ name: 'a', codec: 'json', schema: {} as never }),
    INVALID,
    'the schema of queue "a"',
  )
  const wrong = defineQueue({ name: 'a', capasity: 4 } as never)
  throwsCode(t, () => shm.portQueue(wrong), INVALID, 'did you mean "capacity"?')
})
