// Repeats every public call, and every way it fails, and looks at what grows: `npm run leaks -- [--rounds N] [--only WORD]`. Build first.
// With `--prove` it repeats what does leak instead, all of which it has to find.
// A case leaks if the heap grew in all windows of rounds but one, in which V8 may have thrown away code of its own, or memory outside it
// grew in all; descriptors, threads, buffers in use and objects in /dev/shm have to be what they were. What V8 compiles while it warms up
// looks like that, too, in few rounds, but does not grow with them: a case in which only memory grew is looked at once more with ten times
// the rounds. Ends with one line and, if anything leaks, with status 1.
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
/** By how much more rounds are looked at when memory alone seems to leak. */
const AGAIN = 10
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
  const [memory, counts] = [[], []]
  const byWindow = (what) =>
    marks
      .slice(1)
      .map((mark, i) => mark[what] - marks[i][what])
      .toSorted((one, other) => one - other)
  const least = (what) => byWindow(what)[0]
  const heap = byWindow('heapUsed')[1]
  if (heap > Math.max(HEAP_NOISE, rounds * BYTES_PER_ROUND)) memory.push(`heap ${heap} bytes`)
  if (least('rss') > RSS_NOISE) memory.push(`resident memory ${least('rss')} bytes`)
  for (const what of ['threads', 'used', 'descriptors', 'objects']) {
    if (least(what) > 0) counts.push(`${what} ${least(what)}`)
  }
  return { memory, counts }
}

/** What grew in windows of so many rounds, after `warmUp` others. */
async function grown({ shm, round }, rounds, warmUp) {
  const run = async (times) => {
    for (let i = 0; i < times; i++) await round(i)
    await settle()
    return measure(shm)
  }
  const marks = [await run(warmUp)]
  for (let window = 0; window < WINDOWS; window++) marks.push(await run(rounds))
  return growth(marks, rounds)
}

let leaks = 0
let count = 0
for await (const leakCase of values.prove ? leakingCases() : cases()) {
  const { name, cost } = leakCase
  if (name.includes(values.only)) {
    count++
    let rounds = Math.max(3, Math.ceil(Number(values.rounds) / cost))
    let found = await grown(leakCase, rounds, Math.max(rounds, Math.ceil(WARM_UP / cost)))
    if (found.memory.length > 0 && found.counts.length === 0) {
      rounds *= AGAIN
      found = await grown(leakCase, rounds, rounds)
    }
    const leaked = [...found.memory, ...found.counts]
    leaks += leaked.length > 0 ? 1 : 0
    if (leaked.length > 0) console.log(`LEAK ${name}: ${leaked.join(', ')} in each ${rounds} rounds`)
  }
}
console.log(`${count} cases, ${leaks} leak`)
process.exitCode = leaks === 0 && count > 0 ? 0 : 1
