// What shells complete, asked by a real one.
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { MAIN, millrace, RUNTIME_FLAGS } from '../helpers/cli.js'
import { testDirectory } from '../helpers/directory.js'

const onBash = spawnSync('bash', ['-c', ':']).status === 0 ? test : test.skip

/** What bash offers for the words of a line, the last of which is being written. */
function offered(t: ExecutionContext, directory: string, words: string[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const tool = join(folder, 'millrace')
  writeFileSync(tool, `#!/bin/sh\nexec '${process.execPath}' ${RUNTIME_FLAGS.join(' ')} '${MAIN}' "$@"\n`)
  chmodSync(tool, 0o755)
  const script = `source <(millrace completion bash)
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _millrace; printf '%s\\n' "\${COMPREPLY[@]}"`
  const env = { ...process.env, PATH: `${folder}${delimiter}${process.env['PATH']}`, MILLRACE_DIR: directory }
  const told = execFileSync('bash', ['-c', script, 'bash', 'millrace', ...words], { env, encoding: 'utf8' })
  return told.split('\n').filter((line) => line !== '')
}

onBash('commands, options, domains and what is in them', (t) => {
  const directory = testDirectory(t)
  directory.open('camera').portQueue('frames', { capacity: 4 })
  const complete = (...words: string[]) => offered(t, directory.path, words)
  t.deepEqual(complete('in'), ['inspect'])
  t.deepEqual(complete('flow', ''), ['run', 'validate', 'graph'])
  t.deepEqual(complete('fsck', '--t'), ['--timeout'])
  t.deepEqual(complete('flow', 'graph', 'x.yaml', '--format', 's'), ['svg'])
  t.deepEqual(complete('inspect', 'ca'), ['camera'])
  t.deepEqual(complete('inspect', 'camera/'), ['camera/frames'])
  t.deepEqual(complete('inspect', 'none/'), [])
  t.deepEqual(complete('completion', 'z'), ['zsh'])
})

test('a shell that there is no script for', async (t) => {
  const { code, stderr } = await millrace('completion', 'tcsh')
  t.is(code, 2)
  t.regex(stderr, /^there is no script for "tcsh", but for bash, zsh, fish\n/)
})

test('help names every command, and explains one', async (t) => {
  const { stdout } = await millrace('help')
  for (const name of ['ls', 'inspect', 'fsck', 'flow run', 'completion'])
    t.true(stdout.includes(`\n  millrace ${name}`), name)
  const one = await millrace('help', 'flow', 'graph')
  t.is(one.code, 0)
  t.regex(one.stdout, /^Usage: millrace flow graph <file> \[--format mermaid\|dot\|svg\][^]*\n {2}--report <file> /)
  t.is((await millrace('fsck', '--help')).stdout, (await millrace('help', 'fsck')).stdout)
})
