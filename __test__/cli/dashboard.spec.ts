// `millrace dashboard`: who may ask it, what it tells, what it costs, and that nothing is left of it.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import test from 'ava'
import { ShmObserver } from '../../index.js'
import { type Chart, type Events, type Graph, SPARK_VALUES } from '../../cli/dashboard/protocol.js'
import { History, POINTS, SERIES_MAX } from '../../cli/dashboard/history.js'
import { DashboardServer } from '../../cli/dashboard/server.js'
import { Watch, type Watcher } from '../../cli/dashboard/watch.js'
import { sendSignal } from '../../lib/send-signal.js'
import { millrace } from '../helpers/cli.js'
import { ask, type Asking, EventStream, startDashboard } from '../helpers/dashboard.js'
import { testDirectory } from '../helpers/directory.js'

const onLinux = process.platform === 'linux' ? test : test.skip

/** The address of something else at the same place. */
function at(url: URL, path: string, search = url.search): URL {
  return new URL(`${path}${search}`, url)
}

test('it answers whoever knows the token, by names of this machine, and refuses all others with a sentence', async (t) => {
  const directory = testDirectory(t)
  const { url } = await startDashboard(t, '--directory', directory.path)
  t.is(url.hostname, '127.0.0.1')
  t.true(url.searchParams.get('token')!.length >= 32)
  const { port, host } = url
  for (const name of [host, `localhost:${port}`, 'localhost:1', `[::1]:${port}`]) {
    t.is((await ask(url, { headers: { host: name } })).status, 200, name)
  }
  t.is((await ask(url, { headers: { origin: `http://${host}` } })).status, 200)
  t.is((await ask(url, { method: 'HEAD' })).text, '')
  const token = url.search.slice(0, -1)
  const refused: [path: URL, asking: Asking, why: RegExp][] = [
    [
      at(url, '/', ''),
      {},
      /^The token is missing or wrong\. Open the address that millrace dashboard has printed\.\n$/,
    ],
    [at(url, '/', token), {}, /^The token is missing/],
    [at(url, '/', `${token}${url.search.endsWith('x') ? 'y' : 'x'}`), {}, /^The token is missing/],
    [at(url, '/events', ''), {}, /^The token is missing/],
    [at(url, '/history', ''), {}, /^The token is missing/],
    [url, { headers: { host: `evil.example:${port}` } }, /^"evil\.example:\d+" is no name of this machine\./],
    [url, { headers: { host: `127.0.0.1.evil.example:${port}` } }, /is no name of this machine\./],
    [url, { headers: { origin: 'http://evil.example' } }, /^Pages of "http:\/\/evil\.example" may not ask here\./],
    [url, { headers: { origin: `http://localhost:${port}` } }, /may not ask here\./],
    [url, { headers: { origin: 'null' } }, /^Pages of "null" may not ask here\./],
    [at(url, '/other'), {}, /^There is nothing at "\/other"\.\n$/],
    [at(url, '/../package.json'), {}, /^There is nothing at "\/package\.json"\.\n$/],
    ...['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'].map(
      (method) => [url, { method }, new RegExp(`GET is answered, not ${method}\\.`)] as [URL, Asking, RegExp],
    ),
  ]
  for (const [path, asking, why] of refused) {
    const { status, text, headers } = await ask(path, asking)
    t.is(status, 403, `${String(path)} ${JSON.stringify(asking)}`)
    t.regex(text, why)
    t.is(headers['content-type'], 'text/plain; charset=utf-8')
    t.is(headers['content-security-policy'], "default-src 'none'; frame-ancestors 'none'")
  }
})

test('the page is one file that needs nothing, and only its script and style are allowed', async (t) => {
  const directory = testDirectory(t)
  const { url } = await startDashboard(t, '--directory', directory.path)
  const { headers, text } = await ask(url)
  const policy = headers['content-security-policy'] as string
  const hashes = ['script', 'style'].map((element) => {
    const [, content] = new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(text)!
    return `${element}-src 'sha256-${createHash('sha256').update(content!).digest('base64')}'`
  })
  const rest = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
  t.is(policy, `default-src 'none'; ${hashes.join('; ')}; connect-src 'self'; img-src data:; ${rest}`)
  t.is(headers['referrer-policy'], 'no-referrer')
  t.is(headers['cache-control'], 'no-store')
  t.is(headers['x-content-type-options'], 'nosniff')
  t.regex(text, /^<!doctype html>\n<!--\npreact\n.*MIT.*uplot\n.*MIT/s)
  t.deepEqual(
    [...text.matchAll(/\s(?:src|href)="([^"]*)"/g)].map(([, to]) => to),
    ['data:,'],
  )
  t.false(text.includes(url.searchParams.get('token')!))
})

onLinux('it tells of domains that come and go, who joins, dies and is repaired, and makes none', async (t) => {
  const directory = testDirectory(t)
  const { url } = await startDashboard(t, 'camera', 'none', '--directory', directory.path)
  const stream = await EventStream.open(url)
  t.deepEqual((await stream.next('view')).domains, [])
  t.deepEqual(stream.log, [])
  directory.open('other')
  const shm = directory.open('camera', { name: 'survivor' })
  const queue = shm.portQueue('queue', { capacity: 8 })
  for (let i = 0; i < 8; i++) queue.tryPut(Buffer.from('x'))
  const made = await stream.next('view', ({ domains }) => domains.length > 0)
  t.deepEqual(
    made.domains.map(({ domain }) => domain),
    ['camera'],
  )
  t.like(await stream.logged('domain made'), { place: 'camera', level: 'note' })
  t.regex((await stream.logged('joined')).message, /^0\.1 \("survivor", process \d+\)$/)
  const children = [await directory.start('camera'), await directory.start('camera'), await directory.start('camera')]
  await stream.next('view', ({ participants }) => participants.length === 4)
  for (const child of children.slice(0, 2)) await child.kill()
  await stream.next('view', ({ domains }) => domains[0]!.deaths === 2)
  const said = (kind: string) => stream.log.filter((one) => one.kind === kind).map(({ message }) => message)
  const killed = children.slice(0, 2).map(({ pid }) => pid)
  for (const kind of ['died', 'repaired']) t.deepEqual(new Set(said(kind).map(pidIn)), new Set(killed), kind)
  t.deepEqual([said('died').length, said('repaired').length], [2, 2])
  t.regex(
    said('repaired').find((message) => pidIn(message) === killed[0])!,
    / freed, 8 messages lost, 0 delivered again$/,
  )
  using other = ShmObserver.open('camera', { directory: directory.path })
  t.deepEqual(
    stream.log.filter(({ kind }) => kind === 'joined').map(({ message, atMs }) => [pidIn(message), atMs]),
    other.events().flatMap(({ change, pid, atMs }) => (change === 'joined' ? [[pid, atMs]] : [])),
    'in the order and with the times of the domain',
  )
  // One that comes and goes between two looks.
  directory.open('camera', { name: 'brief' }).close()
  t.regex((await stream.logged('left')).message, /\("brief", process \d+\)$/)
  t.true(said('joined').some((message) => message.includes('"brief"')))
  children[2]!.signal('SIGSTOP')
  t.regex((await stream.logged('stalled')).message, new RegExp(`process ${children[2]!.pid}\\) is stopped`))
  children[2]!.signal('SIGCONT')
  await stream.logged('goes on')
  t.true(queue.tryPut(Buffer.from('x')), 'nobody is held up')
  await children[2]!.kill()
  using observer = ShmObserver.open('camera', { directory: directory.path })
  t.deepEqual(await observer.fsck(), [])
  shm.close()
  await stream.logged('domain gone')
  t.deepEqual((await stream.next('view')).domains, [])
  const ids = stream.log.map(({ id }) => id)
  t.deepEqual(
    ids,
    ids.map((_, i) => i + 1),
  )
  t.false(existsSync(join(directory.path, 'none')))
  // Whoever comes later is told what has happened before.
  const later = await EventStream.open(url)
  await later.next('log')
  t.deepEqual(later.log.slice(0, ids.length), stream.log.slice(0, ids.length))
  for (const each of [stream, later]) each.close()
})

test('a stream ends when its client goes, and looks become rare', async (t) => {
  const directory = testDirectory(t)
  directory.open('camera').portQueue('queue', { capacity: 4 })
  const watch = new Watch([], { directory: directory.path })
  const server = await DashboardServer.listen(watch, 0)
  const over = new AbortController()
  const running = watch.run(over.signal)
  const url = new URL(server.url)
  const streams = [await EventStream.open(url), await EventStream.open(url)]
  for (const stream of streams) await stream.next('view', ({ seconds }) => seconds > 0)
  t.is(watch.watchers, 2)
  t.is((await ask(at(url, '/events'), { method: 'HEAD' })).status, 200)
  for (const stream of streams) stream.close()
  while (watch.watchers > 0) await setImmediate()
  const unknown = await ask(at(url, '/history', `${url.search}&of=queue%20camera/none`))
  t.is(unknown.text, 'null')
  const known = await ask(at(url, '/history', `${url.search}&of=queue%20camera/queue`))
  t.deepEqual(Object.keys(JSON.parse(known.text) as Chart), [
    'times',
    'depth',
    'sentPerSecond',
    'receivedPerSecond',
    'droppedPerSecond',
  ])
  over.abort()
  await running
  await server.close()
})

/** Tells what the test says, when it says so. */
class Told extends Watch {
  readonly listeners = new Set<Watcher>()
  /** How often somebody came. */
  joins = 0

  override join(watcher: Watcher): () => void {
    this.joins++
    watcher({ log: [] })
    this.listeners.add(watcher)
    return () => this.listeners.delete(watcher)
  }

  tell(events: Partial<Events>): void {
    for (const listener of this.listeners) listener(events)
  }
}

test('a client that does not read is told nothing more until it does, then all anew; others are told meanwhile', async (t) => {
  const directory = testDirectory(t)
  const watch = new Told([], { directory: directory.path })
  const server = await DashboardServer.listen(watch, 0)
  t.teardown(() => server.close())
  const { url } = server
  const { search, port, host } = new URL(url)
  const socket = connect(Number(port), '127.0.0.1').setEncoding('utf8').pause()
  t.teardown(() => socket.destroy())
  socket.write(`GET /events${search} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  while (watch.listeners.size === 0) await setImmediate()
  // However much the system takes for a client, it is not everything.
  const large = {
    log: [{ id: 1, atMs: 0, level: 'note', kind: 'large', place: '', message: 'x'.repeat(2 ** 20) }],
  } as const
  let times = 0
  // Over when nothing more goes, however often it has its turn: what fits between the two is some megabytes.
  for (let turns = 0; turns < 100; turns++) {
    if (watch.listeners.size > 0) {
      t.true(times++ < 1000)
      watch.tell(large)
      turns = 0
    }
    await setImmediate()
  }
  const joins = watch.joins
  const stream = await EventStream.open(new URL(url))
  await stream.next('log')
  watch.tell({ log: [{ ...large.log[0], kind: 'heard', message: '' }] })
  t.is((await stream.logged('heard')).kind, 'heard')
  t.is(watch.listeners.size, 1)
  stream.close()
  while (watch.listeners.size > 0) await setImmediate()
  let read = ''
  socket.on('data', (text: string) => (read += text)).resume()
  while (watch.listeners.size === 0) await setImmediate()
  const begin = 'event: log\ndata: []\n\n'
  while (!read.slice(-100).includes(begin)) await setImmediate()
  // What it had been told before it stopped reading, nothing of what came meanwhile, and then how things are.
  t.is(read.split(begin).length - 1, joins + 1)
  t.is(read.split('"kind":"large"').length - 1, times - joins)
  t.false(read.includes('"kind":"heard"'))
  socket.destroy()
  while (watch.listeners.size > 0) await setImmediate()
})

test('an hour of figures: the deepest and means of each 10 s, oldest first, in memory that does not grow', (t) => {
  const directory = testDirectory(t)
  const queue = directory.open('camera').portQueue('queue', { capacity: 8 })
  queue.tryPut(Buffer.from('x'))
  const { view } = new Watch([], { directory: directory.path }).last
  const [row] = view.queues
  const history = new History()
  const looks = 2 * (POINTS + 40)
  for (let i = 0; i < looks; i++) {
    const isPoint = history.add(
      // Two looks make a point, and are not alike.
      { ...view, seconds: 5, queues: [{ ...row!, depth: i, sentPerSecond: i % 2 === 0 ? 0 : i }] },
      i * 5000,
    )
    t.is(isPoint, i % 2 === 1)
  }
  const { times, depth, sentPerSecond } = history.chart('queue camera/queue')!
  const last = looks - 1
  t.deepEqual([times.length, depth.length, sentPerSecond.length], [POINTS, POINTS, POINTS])
  t.deepEqual([times[0], times.at(-1)], [(last - 2 * (POINTS - 1)) * 5, last * 5])
  t.deepEqual([depth[0], depth.at(-1)], [last - 2 * (POINTS - 1), last])
  t.is(sentPerSecond.at(-1), Math.round((last / 2) * 10) / 10)
  const spark = history.sparks()['queue camera/queue']!
  t.deepEqual([spark.length, spark.at(-1)], [SPARK_VALUES, sentPerSecond.at(-1)])
  // One that has gone is forgotten; what comes when there are too many has none.
  const many = Array.from({ length: SERIES_MAX + 10 }, (_, i) => ({ ...row!, place: `camera/many-${i}` }))
  history.add({ ...view, seconds: 10, domains: [], queues: many }, 0)
  t.is(history.chart('queue camera/queue'), null)
  t.is(Object.keys(history.sparks()).length, SERIES_MAX)
  t.deepEqual(history.chart('queue camera/many-0')!.depth.slice(-2), [null, 1])
})

test('the graph of a domain: participants, and what is between them', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('camera', { name: 'both' })
  const queue = shm.portQueue('queue', { capacity: 4 })
  queue.tryPut(Buffer.from('x'))
  queue.tryReceive()!.release()
  shm.portQueue('unused', { capacity: 4 })
  using subscription = shm.topic('news').subscribe({ capacity: 4 })
  t.is(subscription.tryReceive(), null)
  const { url } = await startDashboard(t, '--directory', directory.path)
  const graph = async (of: string) =>
    JSON.parse((await ask(at(url, '/graph', `${url.search}&of=${of}`))).text) as Graph | null
  t.is(await graph('none'), null)
  const { nodes, edges, width, height, tooMany } = (await graph('camera'))!
  t.deepEqual(
    nodes.map(({ series, lines }) => [series, lines[0]]),
    [
      [null, 'both'],
      ['queue camera/queue', 'queue'],
      ['subscription camera/news@0.1', 'news@0.1'],
      ['topic camera/news', 'news'],
    ],
  )
  // To the queue and back, from the topic to its subscription, and from there.
  t.deepEqual([edges.length, tooMany], [4, 0])
  for (const { x, y } of nodes) t.true(x > 0 && x < width && y > 0 && y < height)
  for (let i = 0; i < 150; i++) shm.portQueue(`many-${i}`, { capacity: 4 }).tryPut(Buffer.from('x'))
  const stream = await EventStream.open(url)
  await stream.next('view', ({ queues }) => queues.length > 150)
  t.like(await graph('camera'), { nodes: [], tooMany: 154 })
  stream.close()
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} ends it with exit code 0, whoever watches, and leaves nothing`, async (t) => {
    const directory = testDirectory(t)
    const { url, process: program, ended } = await startDashboard(t, '--directory', directory.path)
    const stream = await EventStream.open(url)
    await stream.next('view')
    sendSignal(program, signal)
    const { code, stderr } = await ended
    t.deepEqual([code, stderr], [0, ''])
    await t.throwsAsync(stream.next('view', () => false))
    await t.throwsAsync(ask(url), { code: 'ECONNREFUSED' })
    t.deepEqual(readdirSync(directory.path), [])
  })
}

test('a port that is asked for, and ports that it cannot have', async (t) => {
  const directory = testDirectory(t)
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  const args = ['dashboard', '--directory', directory.path, '--port']
  const inUse = await millrace(...args, `${port}`)
  t.is(inUse.code, 2)
  t.regex(inUse.stderr, new RegExp(`^ERR_MILLRACE_IO: cannot listen on port ${port} of 127\\.0\\.0\\.1: .* in use`))
  t.regex((await millrace(...args, '65536')).stderr, /^ERR_MILLRACE_IO: cannot listen on port 65536 /)
  t.regex((await millrace(...args, 'x')).stderr, /^--port must be a whole number from 1 on, not "x"/)
  await new Promise((resolve) => taken.close(resolve))
  const { url } = await startDashboard(t, '--directory', directory.path, '--port', `${port}`)
  t.is(url.port, `${port}`)
})

onLinux('to watch a participant with 200 queues costs at most 2 % of a core', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('camera')
  for (let i = 0; i < 200; i++) shm.portQueue(`queue-${i}`, { capacity: 64 }).tryPut(Buffer.from('x'))
  const { url, process: program } = await startDashboard(t, '--directory', directory.path)
  const stream = await EventStream.open(url)
  // What starting and compiling took is not meant.
  for (let i = 0; i < 5; i++) await stream.next('view')
  const [before, from] = [cpuMs(program.pid!), performance.now()]
  for (let i = 0; i < 10; i++) t.is((await stream.next('view')).queues.length, 200)
  const share = (cpuMs(program.pid!) - before) / (performance.now() - from)
  t.log(`${(share * 100).toFixed(2)} % of a core`)
  t.true(share <= 0.02, `${share}`)
  stream.close()
})

function pidIn(message: string): number {
  return Number(/process (\d+)/.exec(message)![1])
}

/** Time that all threads of a process have used: user and system, in ticks of 10 ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}
