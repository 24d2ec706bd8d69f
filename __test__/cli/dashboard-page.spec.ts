// The page of `millrace dashboard` in a real browser: what it shows, by keyboard, in light and dark, while participants are killed.
import test from 'ava'
import { BROWSER, openPage } from '../helpers/browser.js'
import { sendSignal } from '../../lib/send-signal.js'
import { startDashboard } from '../helpers/dashboard.js'
import { testDirectory } from '../helpers/directory.js'

const inBrowser = BROWSER === undefined ? test.skip : test.serial
const reason = BROWSER === undefined ? ' (skipped: there is no chromium on the path)' : ''

/** An expression of the page. */
const BACKGROUND = 'getComputedStyle(document.body).backgroundColor'

inBrowser(
  `tables: found by their roles, sorted and filtered by keyboard; nothing is asked of anybody else${reason}`,
  async (t) => {
    const directory = testDirectory(t)
    const shm = directory.open('camera', { name: '<img src=x onerror=alert(1)>' })
    for (let i = 0; i < 3; i++) {
      const queue = shm.portQueue(`queue-${i}`, { capacity: 4 })
      for (let n = 0; n < i + 1; n++) queue.tryPut(Buffer.from('x'))
    }
    shm.topic('news').subscribe({ capacity: 4 })
    const { url } = await startDashboard(t, '--directory', directory.path)
    const { page, trouble, asked } = await openPage(t, url)
    const queues = page.getByRole('table', { name: 'queues', exact: true })
    const names = () => queues.getByRole('rowheader').allTextContents()
    await queues.getByRole('rowheader', { name: 'camera/queue-2' }).waitFor()
    t.deepEqual(await names(), ['camera/queue-0', 'camera/queue-1', 'camera/queue-2'])
    for (const role of ['banner', 'main', 'navigation', 'search', 'log', 'status'] as const) {
      t.is(await page.getByRole(role).count(), 1, role)
    }
    t.is(await page.getByRole('status').textContent(), '● live')
    t.deepEqual(await page.getByRole('table', { name: 'topics' }).getByRole('rowheader').allTextContents(), [
      'camera/news',
      'camera/news@0.1',
    ])
    // A name is text, whatever it looks like.
    await page.getByRole('rowheader', { name: '<img src=x onerror=alert(1)>' }).waitFor()
    t.is(await page.locator('img').count(), 0)
    const depth = queues.getByRole('columnheader', { name: 'depth' })
    await depth.getByRole('button').focus()
    await page.keyboard.press('Enter')
    t.deepEqual(await names(), ['camera/queue-2', 'camera/queue-1', 'camera/queue-0'])
    t.is(await depth.getAttribute('aria-sort'), 'descending')
    await page.keyboard.press('Space')
    t.deepEqual([(await names())[0], await depth.getAttribute('aria-sort')], ['camera/queue-0', 'ascending'])
    t.is(await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle'), 'solid')
    await page.getByRole('searchbox').fill('QUEUE-1')
    t.deepEqual(await names(), ['camera/queue-1'])
    t.deepEqual(trouble, [])
    t.deepEqual([...asked], [url.host])
  },
)

inBrowser(`the hour of a queue, by keyboard, and again after a reload${reason}`, async (t) => {
  const directory = testDirectory(t)
  directory.open('camera').portQueue('queue', { capacity: 4 }).tryPut(Buffer.from('x'))
  const { url } = await startDashboard(t, '--directory', directory.path)
  const { page, trouble } = await openPage(t, url)
  // The first point.
  await page.getByRole('img', { name: 'last hour' }).first().waitFor()
  await page.reload()
  const name = page.getByRole('button', { name: 'camera/queue' })
  await name.focus()
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog', { name: 'queue camera/queue: the last hour' })
  await dialog.getByRole('img', { name: 'messages in it, at most: depth 1' }).waitFor()
  t.is(await dialog.locator('canvas').count(), 2)
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  t.is(await page.locator(':focus').textContent(), 'camera/queue')
  t.deepEqual(trouble, [])
})

inBrowser(`half of the participants are killed, and then it: it goes on, and says so${reason}`, async (t) => {
  const directory = testDirectory(t)
  directory.open('camera', { name: 'survivor' }).portQueue('queue', { capacity: 4 })
  const children = [await directory.start('camera'), await directory.start('camera')]
  const { url, process: program } = await startDashboard(t, '--directory', directory.path)
  const { page } = await openPage(t, url, { colorScheme: 'dark' })
  const dark = await page.evaluate<string>(BACKGROUND)
  await page.emulateMedia({ colorScheme: 'light' })
  t.not(await page.evaluate<string>(BACKGROUND), dark)
  const participants = page.getByRole('table', { name: 'participants' })
  for (const { pid } of children) await participants.getByRole('cell', { name: `${pid}`, exact: true }).waitFor()
  await children[0]!.kill()
  await page.getByRole('img', { name: 'camera: 2 participants and queues, 1 arrow' }).waitFor()
  const log = page.getByRole('log')
  t.is(await log.getAttribute('aria-live'), 'polite')
  await log.getByText(new RegExp(`process ${children[0]!.pid}\\)$`)).waitFor()
  await log.getByText(new RegExp(`process ${children[0]!.pid}\\): \\d+ buffers? freed, `)).waitFor()
  await participants.getByRole('cell', { name: `${children[0]!.pid}`, exact: true }).waitFor({ state: 'detached' })
  t.is(await participants.getByRole('rowheader').count(), 2)
  sendSignal(program, 'SIGKILL')
  await page.getByRole('status').getByText('no connection since').waitFor()
})
