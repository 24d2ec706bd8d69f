// A headless Chromium of the system, where there is one: nothing is downloaded for the tests.
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { ExecutionContext } from 'ava'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { chromium } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome']
const PROGRAMS = (process.env['PATH'] ?? '').split(delimiter).flatMap((path) => NAMES.map((name) => join(path, name)))

/** Its program; undefined: there is none. */
export const BROWSER = PROGRAMS.find((program) => existsSync(program))

/** A page in a browser of its own, and what went wrong on it; closed with the test. */
export async function openPage(
  t: ExecutionContext,
  url: URL,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; trouble: string[]; asked: Set<string> }> {
  // The sandbox needs rights that root in a container has not.
  const browser = await chromium.launch({ executablePath: BROWSER!, args: ['--no-sandbox'] })
  t.teardown(() => browser.close())
  const page = await browser.newPage(options)
  const trouble: string[] = []
  const asked = new Set<string>()
  page.on('console', (message) => message.type() === 'error' && trouble.push(message.text()))
  page.on('pageerror', (error) => trouble.push(error.message))
  page.on('request', (request) => asked.add(new URL(request.url()).host))
  await page.goto(url.href)
  return { page, trouble, asked }
}
