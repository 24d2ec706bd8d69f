import { spawn, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import { transform } from 'esbuild'
import * as millrace from '../index.js'
import { ERROR_CODES } from '../lib/native/generated/codes.js'
import { type Block, blocksOf, codeIn, documents, ROOT, tableOf, textOf } from './helpers/documents.js'

const GUIDES = [
  'README.md',
  'docs/guide.md',
  'docs/recipes.md',
  'docs/testing.md',
  'docs/metrics.md',
  'docs/coming-from.md',
  'docs/flow-files.md',
  'docs/processes-and-failure.md',
  'docs/troubleshooting.md',
]

/** A block that begins with its file name is a whole program; those of a section lie in one folder, and run together. */
const PROGRAM = /^\/\/ (\S+\.mjs)/

/** Names that a piece of a program takes for granted. */
const NAMES = Object.keys(millrace).join(', ')

for (const path of GUIDES) {
  const blocks = blocksOf(path)
  for (const block of blocks.filter(({ code }) => !PROGRAM.test(code))) {
    test.serial(`${block.where} does what it says`, (t) => runTogether(t, [block], ROOT))
  }
  const programs = blocks.filter(({ code }) => PROGRAM.test(code))
  for (const heading of new Set(programs.map((block) => block.heading))) {
    const ofSection = programs.filter((block) => block.heading === heading)
    test.serial(`${path}, the programs of "${heading}" do what they say`, (t) => runTogether(t, ofSection))
  }
}

test('a recipe is short', (t) => {
  const long = blocksOf('docs/recipes.md').filter(({ code }) => code.match(/^(?!\/\/ )./gm)!.length > 20)
  t.deepEqual(
    long.map(({ where }) => where),
    [],
  )
})

test('every link leads somewhere', (t) => {
  const broken = documents().flatMap((path) => {
    const links = [...textOf(path).matchAll(/\]\((?!https?:)([^)\s#]*)(?:#([^)\s]+))?\)/g)]
    return links
      .map(([, file, anchor]) => ({ file: file === '' ? path : join(dirname(path), file!), anchor }))
      .filter(({ file, anchor }) => !existsSync(join(ROOT, file)) || (anchor && !anchorsOf(file).has(anchor)))
      .map(({ file, anchor }) => `${path}: ${file}#${anchor ?? ''}`)
  })
  t.deepEqual(broken, [])
})

test('every document is in the list of them', (t) => {
  const listed = new Set([...textOf('docs/index.md').matchAll(/\]\(([^)]+)\)/g)].map(([, file]) => join('docs', file!)))
  const there = documents().filter((path) => path !== 'docs/index.md' && !path.startsWith(join('docs', 'api')))
  t.deepEqual([...listed].toSorted(), there.toSorted())
})

test('every error code has a row in the troubleshooting, and no other has', (t) => {
  const rows = tableOf('docs/troubleshooting.md', 'after `ERR_MILLRACE_`').flatMap(([codes]) => codeIn(codes!))
  const ofServices = [...textOf('lib/errors.ts').matchAll(/'(ERR_MILLRACE_\w+)'/g)].map(([, code]) => code!)
  const codes = new Set<string>([...ERROR_CODES, ...ofServices])
  t.deepEqual(rows.map((code) => `ERR_MILLRACE_${code}`).toSorted(), [...codes].toSorted())
})

test('every test that a guarantee names exists', (t) => {
  const rows = textOf('docs/internals/guarantees.md').matchAll(/^\| (?!promise|---)([^|]*)\|([^|]*)\|$/gm)
  const named = [...rows].map(([, promise, shownBy]) => ({ promise: promise!, shownBy: codeIn(shownBy!) }))
  t.true(named.length > 30)
  const wrong = named.flatMap(({ promise, shownBy }) => {
    if (shownBy.length === 0) return [`${promise}: nothing`]
    return shownBy.filter((name) => !isTest(name)).map((name) => `${promise}: ${name}`)
  })
  t.deepEqual(wrong, [])
})

/** Whether `file: title` is a test: a title may go on. */
function isTest(name: string): boolean {
  const at = name.indexOf(': ')
  const [file, title] = [name.slice(0, at), name.slice(at + 2)]
  if (!existsSync(join(ROOT, file))) return false
  const source = textOf(file)
  if (file.endsWith('.rs')) return source.includes(`fn ${title}()`)
  return ["'", '"', '`'].some((quote) => source.includes(`${quote}${title}`))
}

test('every room of lib/ has its place in the architecture, and no other has', (t) => {
  const named = tableOf('ARCHITECTURE.md', '| room').flatMap(([rooms]) => codeIn(rooms!))
  const there = readdirSync(join(ROOT, 'lib'), { withFileTypes: true })
  t.deepEqual(named.toSorted(), there.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).toSorted())
})

test('the architecture is short: what is longer belongs to docs/internals', (t) => {
  const lines = textOf('ARCHITECTURE.md').split('\n')
  t.true(lines.length < 195, `${lines.length} lines`)
  const cells = lines
    .filter((line) => line.startsWith('|'))
    .flatMap((line) => line.split('|').map((cell) => cell.trim()))
  t.deepEqual(
    cells.filter((cell) => cell.length > 120 && !cell.startsWith('---')),
    [],
  )
})

test('every module of the core and every file of the addon has its place in the architecture', (t) => {
  for (const [folder, heading] of [
    ['crates/core/src', '| module'],
    ['crates/node/src', '| file'],
  ] as const) {
    const named = new Set(tableOf('ARCHITECTURE.md', heading).flatMap(([names, what]) => codeIn(`${names} ${what}`)))
    const there = readdirSync(join(ROOT, folder), { withFileTypes: true })
      .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name.replace(/\.rs$/, '')))
      .filter((name) => name !== 'lib')
    t.deepEqual(
      there.filter((name) => !named.has(name)),
      [],
    )
  }
})

test('every command is in CONTRIBUTING, and every command named anywhere exists', (t) => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> }
  const explained = tableOf('CONTRIBUTING.md', '| command').flatMap(([commands]) => codeIn(commands!).map(scriptOf))
  t.deepEqual(explained.toSorted(), Object.keys(scripts).toSorted())
  const named = documents().flatMap((path) =>
    [...textOf(path).matchAll(/\bnpm run ([\w:]+)/g)].map(([, name]) => name!),
  )
  t.deepEqual(
    named.filter((name) => !(name in scripts)),
    [],
  )
})

test('every example is in the list', (t) => {
  const listed = tableOf('examples/README.md', '| example').flatMap(([name]) => codeIn(name!))
  const there = readdirSync(join(ROOT, 'examples')).filter((name) => name.endsWith('.ts'))
  t.deepEqual(listed.toSorted(), there.toSorted())
})

test('the figures of the README are those of its run in docs/performance.md', (t) => {
  const shown = tableOf('README.md', 'best beside it')
  t.is(shown.length, 5)
  const measured = shown.map(([what, , beside]) => {
    const [, section = ''] = textOf('docs/performance.md').split(`**${what}** (`)
    const [subject, ...others] = [...section.split('**', 1)[0]!.matchAll(/^\| ([^|]+?) +\| ([^|]+?) +\|/gm)].slice(2)
    const found = others.find(([, name, median]) => `${name}: ${median}` === beside)
    return [what, subject?.[2], found === undefined ? '' : beside]
  })
  t.deepEqual(measured, shown)
})

/** What the documents call things, and the classes of those. */
const CALLED = new Map<string, { prototype: object }>([
  ['shm', millrace.ShmManager],
  ['queue', millrace.PortQueue],
  ['topic', millrace.Topic],
  ['buffer', millrace.BufferPtr],
  ['message', millrace.BufferPtr],
  ['q', millrace.SageQueue],
  ['ShmManager', millrace.ShmManager],
  ['ShmObserver', millrace.ShmObserver],
])

test('every method that a text names exists', (t) => {
  const missing = GUIDES.flatMap((path) => {
    const calls = [
      ...codeIn(textOf(path))
        .join('\n')
        .matchAll(/\b(\w+)\.([a-z]\w*)\(/g),
    ]
    return calls.filter(([, object = '', method = '']) => {
      const type = CALLED.get(object)
      return type !== undefined && !(method in type.prototype) && !(method in type)
    })
  })
  t.deepEqual(
    missing.map(([call]) => call),
    [],
  )
})

/** `npm run bench -- --quick` → `bench`. */
function scriptOf(command: string): string {
  return command.replace(/^npm (run )?/, '').split(' ')[0]!
}

/** The anchors of a document's headings, as they are made by whoever shows it. */
function anchorsOf(path: string): Set<string> {
  const headings = [...textOf(path).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading!)
  const plain = headings.map((heading) => heading.replaceAll(/\\(.)/g, '$1').toLowerCase())
  return new Set(plain.map((heading) => heading.replaceAll(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-')))
}

/**
 * Runs blocks at the same time, but those that another one names: it starts them. They have a directory of domains of their own, of which
 * nothing may be left.
 */
async function runTogether(t: ExecutionContext, blocks: Block[], cwd?: string): Promise<void> {
  t.timeout(60_000)
  const domains = mkdtempSync(join(tmpdir(), 'millrace-docs-'))
  // Within the package, which they import by its name.
  const folder = mkdtempSync(join(ROOT, 'dist', 'docs-'))
  t.teardown(() => [domains, folder].forEach((path) => rmSync(path, { recursive: true })))
  for (const block of blocks) writeFileSync(join(folder, nameOf(block)), await programOf(block))
  const first = blocks.filter((block) => !blocks.some(({ code }) => code.includes(`'${nameOf(block)}'`)))
  const options = { cwd: cwd ?? folder, env: { ...process.env, MILLRACE_DIR: domains } }
  await Promise.all(first.map((block) => run(t, block, join(folder, nameOf(block)), options)))
  t.deepEqual(readdirSync(domains), [], 'a domain is left')
}

async function run(t: ExecutionContext, block: Block, file: string, options: SpawnOptions): Promise<void> {
  // In a group of processes, so that what it has started ends with it.
  const child = spawn(process.execPath, [file], { ...options, stdio: ['ignore', 'ignore', 'pipe'], detached: true })
  t.teardown(() => killGroup(child.pid!))
  const [said, [status]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  t.is(status, 0, `${block.where}:\n${said}`)
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left in it.
  }
}

function nameOf({ code }: Block): string {
  return PROGRAM.exec(code)?.[1] ?? 'piece.mjs'
}

async function programOf({ code, before, after }: Block): Promise<string> {
  const parts = /^import assert /m.test(code) ? [] : [`import assert from 'node:assert/strict'`]
  const isWhole = PROGRAM.test(code)
  if (!isWhole && !/from 'millrace'/.test(code)) parts.push(`import { ${NAMES} } from 'millrace'`)
  if (!isWhole && !/\bshm = /.test(before + code)) parts.push(`using shm = ShmManager.open('docs')`)
  const program = [...parts, before, code, after].join('\n')
  return (await transform(program, { loader: 'ts', format: 'esm', target: 'node20' })).code
}
