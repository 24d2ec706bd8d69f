// `npm run dashboard:pictures`: runs programs, half of which it kills, and draws what the dashboard shows of that in headless Chromium as
// docs/dashboard-light.png and docs/dashboard-dark.png. Build before; needs `chromium` on the path.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { chromium } from 'playwright-core'
import sharp from 'sharp'
import { ROOT } from '../release/targets.mjs'

const PARTS = ['reader', 'detector', 'archive', 'market', 'trader', 'shop', 'worker', 'server', 'client']
/** Two of each: of each kind one survives. */
const PROCESSES = [...PARTS, ...PARTS]
/** So long that lines have a shape, in ms. */
const LEAD_MS = 90_000
const BYTES_MAX = 150 * 1024

const directory = mkdtempSync('/dev/shm/millrace-pictures-')
const env = { ...process.env, MILLRACE_DIR: directory }

function start(...args) {
  return spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
}

async function picture(url, colorScheme, file) {
  const page = await browser.newPage({ colorScheme, viewport: { width: 1180, height: 900 } })
  await page.goto(url)
  await page.getByRole('log').getByText('deaths: ').or(page.getByRole('log').getByText('death: ')).first().waitFor()
  await page.getByRole('img', { name: 'last hour' }).first().waitFor()
  await page.getByRole('img', { name: 'camera: ' }).waitFor()
  const png = await sharp(await page.screenshot({ fullPage: true }))
    .png({ palette: true, colours: 64, effort: 10 })
    .toBuffer()
  if (png.length > BYTES_MAX) throw new Error(`${file} has ${png.length} bytes, more than ${BYTES_MAX}`)
  writeFileSync(join(ROOT, 'docs', file), png)
  console.log(`docs/${file}: ${png.length} bytes`)
}

const children = PROCESSES.map((part) => start(join(ROOT, 'scripts', 'dashboard', 'load.mjs'), part))
const dashboard = start(join(ROOT, 'dist', 'cli', 'main.js'), 'dashboard', '--json')
const browser = await chromium.launch({
  executablePath: execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim(),
  args: ['--no-sandbox'],
})
try {
  const [line] = await once(dashboard.stdout, 'data')
  const { url } = JSON.parse(String(line))
  // Somebody watches, so that deaths are told one by one.
  await (await browser.newPage()).goto(url)
  await setTimeout(LEAD_MS)
  for (const child of children.slice(0, PARTS.length)) child.kill('SIGKILL')
  await picture(url, 'light', 'dashboard-light.png')
  await picture(url, 'dark', 'dashboard-dark.png')
} finally {
  await browser.close()
  for (const child of children) child.kill('SIGKILL')
  dashboard.kill('SIGINT')
  if (dashboard.exitCode === null) await once(dashboard, 'exit')
  rmSync(directory, { recursive: true })
}
