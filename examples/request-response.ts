// Requests, errors, deadlines and streams between processes, and the death of a server in the middle of a request.
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ShmManager } from 'millrace'

/** What is asked: the primes below a number. */
interface Question {
  below: number
  /** The server that hears this dies. */
  poison?: number
}

const [role, domain] = process.argv.slice(2)
if (role === 'server') await serve(domain!)
else await ask(`example-request-${process.pid}`)

async function serve(name: string): Promise<void> {
  const shm = ShmManager.open(name)
  process.once('disconnect', () => process.exit())
  if (!process.connected) process.exit()
  const primes = shm.service<Question, number>('primes', { codec: 'json' })
  await primes.serve(({ below, poison }, { attempt, signal }) => {
    if (below < 0) throw new RangeError(`no prime is below ${below}`, { cause: { below } })
    if (poison !== undefined && attempt <= poison) process.kill(process.pid, 'SIGKILL')
    if (below === 0) return until(signal)
    // Asked with request() or with stream(): a number, or one after the other.
    return below > 1000 ? stream(below) : [...generate(below)].length
  })
}

function* generate(below: number): Generator<number> {
  for (let n = 2; n < below; n++) if (isPrime(n)) yield n
}

async function* stream(below: number): AsyncGenerator<number> {
  yield* generate(below)
}

function isPrime(n: number): boolean {
  for (let i = 2; i * i <= n; i++) if (n % i === 0) return false
  return true
}

/** An answer that takes longer than anybody waits. */
function until(signal: AbortSignal): Promise<number> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}

async function ask(name: string): Promise<void> {
  using shm = ShmManager.open(name)
  const start = () => fork(fileURLToPath(import.meta.url), ['server', name])
  const servers: ChildProcess[] = [start(), start(), start()]
  const primes = shm.service<Question, number>('primes', { codec: 'json' })

  const counts = await Promise.all([10, 100, 1000].map((below) => primes.request({ below })))
  assert.deepEqual(counts, [4, 25, 168])
  console.log(`primes below 10, 100 and 1000: ${counts.join(', ')}`)

  const error = await failure(primes.request({ below: -1 }))
  assert(error instanceof RangeError)
  assert.deepEqual(error.cause, { below: -1 })
  console.log(`an error of the server is one here: ${error.name}: ${error.message}`)

  const late = await failure(primes.request({ below: 0 }, { timeout: 200 }))
  assert.equal((late as NodeJS.ErrnoException).code, 'ERR_MILLRACE_TIMEOUT')
  console.log(`a deadline: ${late.message}`)

  let last = 0
  let count = 0
  for await (const prime of primes.stream({ below: 10_000 })) {
    assert(prime > last)
    last = prime
    if (++count === 200) break
  }
  assert.deepEqual([count, last], [200, 1223])
  console.log(`a stream, left after ${count} items, the last of them ${last}`)

  const lost = await failure(primes.request({ below: 10, poison: 1 }))
  assert.equal((lost as NodeJS.ErrnoException).code, 'ERR_MILLRACE_SERVER_LOST')
  console.log(`a server was killed: ${lost.message}`)
  assert.equal(await primes.request({ below: 10, poison: 1 }, { retry: 1 }), 4)
  console.log('another was killed, and a third one did its work')

  for (const server of servers.filter(({ connected }) => connected)) {
    server.disconnect()
    assert.deepEqual(await once(server, 'exit'), [0, null])
  }
  const killed = servers.filter(({ signalCode }) => signalCode === 'SIGKILL')
  assert.equal(killed.length, 2)
}

async function failure(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => assert.fail('it did not fail'),
    (error: Error) => error,
  )
}
