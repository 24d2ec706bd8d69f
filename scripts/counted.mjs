// Runs a suite, streams its output and counts its tests.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** Results of a Rust test binary: one line each. Passed, failed, and left out. */
export function countRust(line) {
  const result = /^test result: \S+ (\d+) passed; (\d+) failed;(?: (\d+) ignored)?(?:.* (\d+) filtered out)?/.exec(line)
  if (result === null) return [0, 0, 0]
  const [passed, failed, ignored, filtered] = result.slice(1).map((count) => Number(count ?? 0))
  return [passed, failed, ignored + filtered]
}

/** TAP, one line a test. The totals at the end of AVA's report leave failed hooks out, so the lines are counted. */
export function countTap(line) {
  const result = /^(not )?ok \d+ (.*# (?:SKIP|TODO))?/.exec(line)
  if (result === null) return [0, 0, 0]
  if (result[2] !== undefined) return [0, 0, 1]
  return result[1] === undefined ? [1, 0, 0] : [0, 1, 0]
}

/** How long a suite's output may stay open after its end: longer means that a process it started still lives. */
const LEFTOVER_MS = 5000

/** Lines about failures that are told once more. */
const MOST_TOLD = 60

/** Runs one suite to its end. One that crashed, left a process behind or ran no test counts as a failure. */
export async function runCounted(name, { command, args, count, cwd, env }) {
  const started = performance.now()
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  const problems = []
  child.once('error', (error) => problems.push(error.message))
  child.once('exit', (code, signal) => {
    if (code !== 0) problems.push(`ended with ${signal ?? `code ${code}`}`)
    const leftover = setTimeout(() => {
      problems.push('left a process behind that holds its output open')
      lines.close()
      child.stdout.destroy()
    }, LEFTOVER_MS)
    child.once('close', () => clearTimeout(leftover))
  })
  const closed = new Promise((resolve) => child.once('close', resolve))
  const total = [0, 0, 0]
  // What failed is told once more at the end, with what is said of it.
  const told = []
  let isTelling = false
  for await (const line of lines) {
    console.log(line)
    const counts = count(line)
    counts.forEach((more, at) => (total[at] += more))
    if (counts.some((more) => more > 0)) isTelling = counts[1] > 0
    if (isTelling && told.length < MOST_TOLD && line.trim() !== '') told.push(line)
  }
  await closed
  const [passed, counted, skipped] = total
  if (passed + counted === 0) problems.push('ran no test')
  const failed = problems.length > 0 ? Math.max(counted, 1) : counted
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const summary = [`${name}: ${passed} passed, ${failed} failed in ${seconds} s`, ...problems].join(', ')
  const text = [...told, summary].join('\n')
  return { passed, failed, skipped, text }
}
