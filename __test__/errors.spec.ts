import { createRequire } from 'node:module'
import test from 'ava'
import { MillraceError, ShmManager } from '../index.js'
import { throwsCode } from './helpers/errors.js'

test('an error has a code, a name and a message with the offending value', (t) => {
  const error = t.throws(() => ShmManager.open('a/b'), { instanceOf: MillraceError })
  t.is(error.code, 'ERR_MILLRACE_INVALID_NAME')
  t.is(error.name, 'MillraceError')
  t.true(error.message.includes('"a/b"'))
  t.true(error instanceof Error)
  t.true(error.stack!.startsWith('MillraceError: '))
})

test('instanceof works across the ESM and the CommonJS copy', (t) => {
  const copy = createRequire(import.meta.url)('millrace') as { ShmManager: typeof ShmManager }
  t.not(copy.ShmManager, ShmManager)
  const error = t.throws(() => copy.ShmManager.open(''))
  t.true(error instanceof MillraceError)
})

test('instanceof is false for everything else', (t) => {
  for (const value of [new Error('x'), {}, null, undefined, 'ERR_MILLRACE_IO', { code: 'ERR_MILLRACE_IO' }]) {
    t.false((value as unknown) instanceof MillraceError)
  }
})

test('long and odd values are shown short', (t) => {
  throwsCode(t, () => ShmManager.open('x'.repeat(1000)), 'ERR_MILLRACE_INVALID_NAME', 'xxx…"')
  throwsCode(t, () => ShmManager.open(null as never), 'ERR_MILLRACE_INVALID_NAME', 'not null')
  throwsCode(t, () => ShmManager.open([] as never), 'ERR_MILLRACE_INVALID_NAME', 'not an array')
  throwsCode(t, () => ShmManager.open({} as never), 'ERR_MILLRACE_INVALID_NAME', 'class Object')
  throwsCode(t, () => ShmManager.open((() => 0) as never), 'ERR_MILLRACE_INVALID_NAME', 'a function')
  throwsCode(t, () => ShmManager.open(7n as never), 'ERR_MILLRACE_INVALID_NAME', '7n')
})

test('values that cannot be looked at are shown all the same', (t) => {
  const { proxy: revoked, revoke } = Proxy.revocable({}, {})
  revoke()
  const odd = {
    get constructor() {
      throw new Error('no')
    },
  }
  const named = { constructor: { name: { toString: () => t.fail() } } }
  for (const value of [revoked, odd, named, Object.create(null), { constructor: null }]) {
    throwsCode(t, () => ShmManager.open(value as never), 'ERR_MILLRACE_INVALID_NAME', 'not an object')
  }
})
