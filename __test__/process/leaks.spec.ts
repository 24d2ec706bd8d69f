// The short form of `npm run leaks`.
import { execFile } from 'node:child_process'
import test from 'ava'
import { ROOT } from '../helpers/documents.js'

function leaks(...args: string[]): Promise<{ failed: boolean; said: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['scripts/leaks.mjs', ...args], { cwd: ROOT }, (error, stdout, stderr) =>
      resolve({ failed: error !== null, said: stdout + stderr }),
    )
  })
}

test.serial('what is repeated leaves nothing', async (t) => {
  t.timeout(180_000)
  const { failed, said } = await leaks('--rounds', '200')
  t.false(failed, said)
  t.regex(said, /^[1-9]\d+ cases, 0 leak\n$/)
})

test.serial('what leaks is found', async (t) => {
  t.timeout(60_000)
  const { failed, said } = await leaks('--rounds', '5000', '--prove')
  t.true(failed)
  t.regex(said, /^5 cases, 5 leak$/m)
})
