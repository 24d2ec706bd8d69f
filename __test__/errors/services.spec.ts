// What a service says of codecs that differ, and what becomes of errors and of nothing on their way.
import { once } from 'node:events'
import test from 'ava'
import type { ParticipantLeft } from '../../index.js'
import { testDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { json, pair } from '../helpers/service.js'
import { until } from '../process/children.js'

test('codecs that differ are named beside the service', (t) => {
  const domain = testDomain(t)
  domain.open({ name: 'maker' }).service('s3', { codec: 'json' })
  t.throws(() => domain.open().service('s3', { codec: 'msgpack' }), {
    code: 'ERR_MILLRACE_OPTIONS_MISMATCH',
    message: `service "s3" exists with codec "json", "msgpack" was asked for: "maker" (process ${process.pid}) has it open`,
  })
})

test('a server that is lost is named, and who listens later is told of its leaving all the same', async (t) => {
  const { server, client, there, here } = pair<number, number>(t, json)
  let begun = false
  const served = server.serve(() => {
    begun = true
    return new Promise(() => {})
  })
  const asked = client.request(1)
  await until(() => begun)
  const { participant: slot } = there
  there.close()
  await served
  const error = await rejectsCode(t, asked, 'ERR_MILLRACE_SERVER_LOST', `participant ${slot}, "`)
  t.regex(
    error.message,
    new RegExp(`^the server .*, "[^"]+" \\(process ${process.pid}\\), is gone: the request may or may not`),
  )
  const [left] = (await once(here, 'participant-left')) as [ParticipantLeft]
  t.like(left, { slot, reason: 'closed', missed: 0 })
})

test('what an AggregateError is made of arrives, and so do properties of errors', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  void server.serve(() => {
    const parts = [Object.assign(new RangeError('one'), { status: 404, details: { id: 7 } }), 'two']
    throw new AggregateError(parts, 'all failed')
  })
  const error = await t.throwsAsync<AggregateError>(client.request(0), {
    instanceOf: AggregateError,
    message: 'all failed',
  })
  const [first, second] = error.errors as [RangeError & { status: number; details: object }, string]
  t.true(first instanceof RangeError)
  t.is(first.message, 'one')
  t.is(first.status, 404)
  t.deepEqual(first.details, { id: 7 })
  t.is(second, 'two')
  end()
})

for (const options of [{ codec: 'json' }, { codec: 'v8' }, { codec: 'msgpack' }] as const) {
  test(`a handler that returns nothing answers undefined: ${options.codec}`, async (t) => {
    const { server, client, end } = pair<number, unknown>(t, options)
    void server.serve(async (n) => (n === 0 ? undefined : n))
    t.is(await client.request(0), undefined)
    t.is(await client.request(1), 1)
    end()
  })
}

test('so does one without a codec', async (t) => {
  const domain = testDomain(t)
  const [here, there] = [domain.open(), domain.open()]
  void there.service('work').serve((() => {}) as never)
  t.is(await here.service('work').request(new Uint8Array(1)), undefined as never)
})
