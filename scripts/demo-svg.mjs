// `npm run demo:svg`: runs the demo on a terminal of its own, records what it shows and when, and draws that as docs/demo.svg. Build before.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { drawScreens } from './demo/draw.mjs'
import { Screen } from './demo/screen.mjs'
import { ROOT } from './release/targets.mjs'

/** So many that one can follow it. */
const OPTIONS = '--passes 40'
const COMMAND = `npm run demo -- ${OPTIONS}`
/** How long the command is seen before anything happens, in s. */
const LEAD = 1
/** Changes that follow each other more quickly are drawn as one, in s. */
const FRAME = 0.04
const BYTES_MAX = 40 * 1024

/** What the demo writes to a terminal, which `script` of util-linux makes: pairs of a time in s and text. */
async function record() {
  const program = `"${process.execPath}" "${join(ROOT, 'dist', 'demo', 'main.js')}" ${OPTIONS}`
  const args = ['--quiet', '--return', '--command', program, '/dev/null']
  // An input that ends would be typed as ^D.
  const child = spawn('script', args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  const started = performance.now()
  const recorded = []
  for await (const text of child.stdout.setEncoding('utf8')) {
    recorded.push({ time: LEAD + (performance.now() - started) / 1000, text })
  }
  const [status] = await ended
  if (status !== 0) throw new Error(`the demo ended with ${status}`)
  return recorded
}

/** What is seen, and from when on. */
function screensOf(recorded) {
  const screen = new Screen(`$ ${COMMAND}\n`)
  const screens = [{ time: 0, lines: screen.lines() }]
  for (const { time, text } of recorded) {
    screen.write(text)
    const last = screens.at(-1)
    if (time - last.time < FRAME) last.lines = screen.lines()
    else screens.push({ time, lines: screen.lines() })
  }
  return screens
}

const svg = drawScreens(screensOf(await record()), `${COMMAND}, as it was recorded`)
const bytes = Buffer.byteLength(svg)
if (bytes > BYTES_MAX) throw new Error(`the picture has ${bytes} bytes, more than ${BYTES_MAX}`)
writeFileSync(join(ROOT, 'docs', 'demo.svg'), svg)
console.log(`docs/demo.svg: ${bytes} bytes`)
