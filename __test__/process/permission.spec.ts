// Directories that are not ours alone are refused: whoever can write there could do anything to us.
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { geteuid } from 'node:process'
import test, { type ExecutionContext } from 'ava'
import { ShmManager } from '../../index.js'
import { throwsCode } from '../helpers/errors.js'

const isRoot = geteuid?.() === 0
const asRoot = isRoot ? test.serial : test.serial.skip
const asUser = isRoot ? test.serial.skip : test.serial

/** A directory of the test's own. */
function scratch(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

/** Domain `name` below `directory` is refused, whichever way that is given; the error names `words`. */
function isRefused(t: ExecutionContext, directory: string, name: string, ...words: string[]): void {
  throwsCode(t, () => ShmManager.open(name, { directory }), 'ERR_MILLRACE_PERMISSION', ...words)
  const before = process.env['MILLRACE_DIR']
  process.env['MILLRACE_DIR'] = directory
  try {
    throwsCode(t, () => ShmManager.open(name), 'ERR_MILLRACE_PERMISSION', ...words)
  } finally {
    if (before === undefined) delete process.env['MILLRACE_DIR']
    else process.env['MILLRACE_DIR'] = before
  }
}

for (const mode of ['0777', '1777', '0770', '0702']) {
  test.serial(`a directory of mode ${mode}`, (t) => {
    const directory = scratch(t)
    chmodSync(directory, mode)
    isRefused(t, directory, 'domain', directory, mode)
  })
}

test.serial('a domain that others can look into', (t) => {
  const directory = scratch(t)
  const domain = join(directory, 'domain')
  mkdirSync(domain)
  chmodSync(domain, 0o755)
  isRefused(t, directory, 'domain', domain, '0755')
})

asRoot('a directory of somebody else', (t) => {
  const directory = scratch(t)
  chownSync(directory, 65_534, 65_534)
  isRefused(t, directory, 'domain', directory, '65534')
})

asUser('a directory of the superuser', (t) => {
  isRefused(t, '/', 'domain', '/')
})

test.serial('links and files in place of directories', (t) => {
  const directory = scratch(t)
  const real = scratch(t)
  symlinkSync(real, join(directory, 'link'))
  writeFileSync(join(directory, 'file'), '')
  for (const name of ['link', 'file']) {
    isRefused(t, join(directory, name), 'domain', name)
    isRefused(t, directory, name, name)
  }
})
