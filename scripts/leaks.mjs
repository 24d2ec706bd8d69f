// Repeats every public call, and every way it fails, and looks at what grows: `npm run leaks -- [--rounds N] [--only WORD]`. Build first.
// With `--prove` it repeats what does leak instead, all of which it has to find.
// A case leaks if the heap, or memory outside it, grew in all windows of rounds but one, in which V8 may have thrown away code of its own;
// descriptors, threads, buffers in use and objects in /dev/shm have to be what they were. Ends with one line and, if anything leaks, with status 1.
import { readdirSync, readFileSync } from 'node:fs'
import { memoryUsage } from 'node:process'
import { parseArgs } from 'node:util'
import { leftovers, traceOf } from '../dist/__test__/helpers/domain.js'
import { collectGarbage } from '../dist/__test__/helpers/gc.js'
import { cases, leakingCases } from '../dist/__test__/helpers/leak-cases.js'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20000' },
    only: { type: 'string', default: '' },
    prove: { type: 'boolean' },
  },
})

const WINDOWS = 4
/** Rounds until every cache that has a bound has reached it. */
const WARM_UP = 2500
/** What a round may leave, in bytes: less than any object. */
const BYTES_PER_ROUND = 2
/** By how much the heap differs though nothing has happened. */
const HEAP_NOISE = 24 * 1024
/** By how much resident memory differs: the allocator keeps what it was given back. */
const RSS_NOISE = 8 * 1024 * 1024

async function settle() {
  // What comes to its end after the last round, such as sockets, has its turn first.
  await new Promise((resolve) => setTimeout(resolve, 2))
  collectGarbage()
}

function measure(shm) {
  const { heapUsed, rss } = memoryUsage()
  const threads = Number(/^Threads:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1])
  const used = shm.registry.snapshot().pools.reduce((sum, pool) => sum + pool.used, 0)
  const objects = leftovers(traceOf(shm)).length
  return { heapUsed, rss, threads, used, objects, descriptors: readdirSync('/proc/self/fd').length }
}

/** What grew over the windows, in words. */
function growth(marks, rounds) {
  const found = []
  const byWindow = (what) =>
    marks
      .slice(1)
      .map((mark, i) => mark[what] - marks[i][what])
      .toSorted((one, other) => one - other)
  const least = (what) => byWindow(what)[0]
  const heap = byWindow('heapUsed')[1]
  if (heap > Math.max(HEAP_NOISE, rounds * BYTES_PER_ROUND)) found.push(`heap ${heap} bytes`)
  if (least('rss') > RSS_NOISE) found.push(`resident memory ${least('rss')} bytes`)
  for (const what of ['threads', 'used', 'descriptors', 'objects']) {
    if (least(what) > 0) found.push(`${what} ${least(what)}`)
  }
  return found
}

let leaks = 0
let count = 0
for await (const { name, cost, shm, round } of values.prove ? leakingCases() : cases()) {
  if (name.includes(values.only)) {
    count++
    const rounds = Math.max(3, Math.ceil(Number(values.rounds) / cost))
    const run = async (times) => {
      for (let i = 0; i < times; i++) await round(i)
      await settle()
      return measure(shm)
    }
    const marks = [await run(Math.max(rounds, Math.ceil(WARM_UP / cost)))]
    for (let window = 0; window < WINDOWS; window++) marks.push(await run(rounds))
    const found = growth(marks, rounds)
    leaks += found.length > 0 ? 1 : 0
    if (found.length > 0) console.log(`LEAK ${name}: ${found.join(', ')} in each ${rounds} rounds`)
  }
}
console.log(`${count} cases, ${leaks} leak`)
process.exitCode = leaks === 0 && count > 0 ? 0 : 1
