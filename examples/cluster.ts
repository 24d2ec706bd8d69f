// A cluster of HTTP workers that share what they answer with: each page is rendered once, by the primary, whichever worker is asked.
// A worker keeps pages as buffers in shared memory, and sends their bytes from there.
import assert from 'node:assert/strict'
import cluster from 'node:cluster'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Agent, createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer as collect } from 'node:stream/consumers'
import { type BufferPtr, ShmManager } from 'millrace'

const WORKERS = 3
const PAGES = 20
const REQUESTS = 600
const PAGE_BYTES = 50_000

if (cluster.isPrimary) await primary(`example-cluster-${process.pid}`)
else await worker(process.env['DOMAIN']!)

/** A page takes some work. */
function render(path: string): Buffer {
  const hash = createHash('sha512').update(path)
  const lines: string[] = []
  for (let length = 0; length < PAGE_BYTES; length += 129) lines.push(hash.copy().update(`${length}`).digest('hex'))
  return Buffer.from(lines.join('\n').slice(0, PAGE_BYTES))
}

async function primary(domain: string): Promise<void> {
  using shm = ShmManager.open(domain)
  const rendered = new Map<string, number>()
  const pages = new Map<string, Buffer>()
  const service = shm.service('pages')
  void service.serve((request) => {
    const path = request.text()
    if (!pages.has(path)) {
      pages.set(path, render(path))
      rendered.set(path, (rendered.get(path) ?? 0) + 1)
    }
    return pages.get(path)!
  })
  const workers = Array.from({ length: WORKERS }, () => cluster.fork({ DOMAIN: domain }))
  const listening = await Promise.all(workers.map((one) => once(one, 'listening')))
  const { port } = listening[0]![0] as AddressInfo

  const served = new Map<string, number>()
  const agent = new Agent({ keepAlive: false })
  const lane = async (first: number) => {
    for (let i = first; i < REQUESTS; i += 12) {
      const path = `/page/${i % PAGES}`
      const [response] = (await once(get({ port, path, agent }), 'response')) as [IncomingMessage]
      assert.deepEqual(await collect(response), render(path))
      const by = String(response.headers['x-worker'])
      served.set(by, (served.get(by) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: 12 }, (_, first) => lane(first)))
  const asked = service.stats().served
  for (const one of workers) one.send('end')
  for (const exit of await Promise.all(workers.map((one) => once(one, 'exit')))) assert.deepEqual(exit, [0, null])

  assert.equal(
    [...served.values()].reduce((sum, count) => sum + count, 0),
    REQUESTS,
  )
  assert.deepEqual(
    [...rendered.values()],
    Array.from({ length: PAGES }, () => 1),
  )
  assert(asked <= WORKERS * PAGES)
  console.log(`${REQUESTS} requests, by worker: ${[...served.values()].join(' + ')}`)
  console.log(`${PAGES} pages, each rendered once; workers asked for a page ${asked} times`)
}

async function worker(domain: string): Promise<void> {
  const shm = ShmManager.open(domain)
  const service = shm.service('pages')
  /** Promises, so that a page asked for twice at once is fetched once. */
  const cache = new Map<string, Promise<BufferPtr>>()
  const page = (path: string) => {
    const known = cache.get(path) ?? service.request(Buffer.from(path))
    cache.set(path, known)
    return known
  }
  const server = createServer((request, response) => {
    void page(request.url!).then(({ bytes }) => response.setHeader('x-worker', process.pid).end(bytes))
  }).listen(0)
  await once(process, 'message')
  server.close()
  await once(server, 'close')
  // The bytes of every page go with the manager; nothing is being sent any more.
  shm.close()
  process.exit()
}
