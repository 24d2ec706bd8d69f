import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { ROOT } from '../helpers/documents.js'

const require = createRequire(import.meta.url)
require(join(ROOT, 'native/binding.cjs'))
/** The addon of this very runtime: there may be others. */
const built = basename(Object.keys(require.cache).find((file) => file.endsWith('.node'))!)
const platform = /^millrace\.(.*)\.node$/.exec(built)![1]!
const name = `millrace-${platform}`

/** What is installed: the loader, as in the package, in version 1.2.3. */
function installed(t: ExecutionContext): string {
  const root = mkdtempSync(join(tmpdir(), 'millrace-loader-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'node_modules/millrace/native'), { recursive: true })
  copyFileSync(join(ROOT, 'native/binding.cjs'), join(root, 'node_modules/millrace/native/binding.cjs'))
  writeFileSync(join(root, 'node_modules/millrace/package.json'), JSON.stringify({ version: '1.2.3' }))
  return root
}

/** Adds the platform's package. */
function addAddon(root: string, version: string): string {
  const folder = join(root, 'node_modules', name)
  mkdirSync(folder)
  cpSync(join(ROOT, 'native', built), join(folder, built))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ version, main: built }))
  return join(folder, built)
}

/** Loads the addon in a process of its own, after `before`: what it exports, or code and message of the error. */
function load(root: string, { before = '', options = [] }: { before?: string; options?: string[] } = {}): unknown {
  const program = `${before}
    let result
    try { result = Object.keys(require('millrace/native/binding.cjs')) } catch ({ code, message }) { result = { code, message } }
    console.log(JSON.stringify(result))`
  const { stdout, stderr } = spawnSync(process.execPath, [...options, '-e', program], { cwd: root, encoding: 'utf8' })
  return JSON.parse(stdout === '' ? JSON.stringify(stderr) : stdout)
}

function assertRefused(t: ExecutionContext, result: unknown, ...words: string[]): void {
  t.like(result, { code: 'ERR_MILLRACE_UNSUPPORTED' })
  const { message } = result as { message: string }
  for (const word of words) t.true(message.includes(word), `${word} in: ${message}`)
}

test("the addon is that of the platform's package", (t) => {
  const root = installed(t)
  addAddon(root, '1.2.3')
  t.true((load(root) as string[]).includes('BindingManager'))
})

test('a package that is missing is named, with what to do', (t) => {
  assertRefused(t, load(installed(t)), `package ${name},`, `npm install ${name}@1.2.3`, '--omit=optional', 'npm ci')
})

test('a package of another version is refused', (t) => {
  const root = installed(t)
  addAddon(root, '1.2.2')
  assertRefused(t, load(root), `${name} 1.2.2 does not fit millrace 1.2.3`)
})

test('an addon that cannot be loaded is named with the reason', (t) => {
  const root = installed(t)
  writeFileSync(addAddon(root, '1.2.3'), 'no library')
  assertRefused(t, load(root), `${name} does not load: `, built)
})

test('a platform without addon is told which have one', (t) => {
  const root = installed(t)
  const before = "Object.defineProperty(process, 'arch', { value: 'riscv64' })"
  assertRefused(t, load(root, { before }), `for ${platform.replace(process.arch, 'riscv64')}, only for`, name.slice(9))
})

if (process.platform === 'linux') {
  test('the C library is that of the process, also where its file may not be read', (t) => {
    const root = installed(t)
    addAddon(root, '1.2.3')
    const before = "Object.defineProperty(process, 'execPath', { value: '/nowhere' })"
    t.true((load(root, { before }) as string[]).includes('BindingManager'))
  })

  test('the C library is asked of the executable, not of the system', (t) => {
    const root = installed(t)
    const other = platform.endsWith('musl') ? 'gnu' : 'musl'
    const interpreter = other === 'musl' ? '/lib/ld-musl-x86_64.so.1' : '/lib64/ld-linux-x86-64.so.2'
    writeFileSync(join(root, 'node'), executable(interpreter))
    const before = "Object.defineProperty(process, 'execPath', { value: require('path').resolve('node') })"
    assertRefused(t, load(root, { before }), `millrace-linux-${process.arch}-${other},`)
  })
}

/** The part of an ELF file that names its interpreter, far from the start as patched ones have it. */
function executable(interpreter: string): Buffer {
  const [table, at, text] = [4096, 8192, Buffer.from(`${interpreter}\0`)]
  const file = Buffer.alloc(at + text.length)
  file.write('\x7fELF')
  file.writeBigUInt64LE(BigInt(table), 32)
  file.writeUInt16LE(56, 54)
  file.writeUInt16LE(2, 56)
  file.writeUInt32LE(6, table)
  file.writeUInt32LE(3, table + 56)
  file.writeBigUInt64LE(BigInt(at), table + 56 + 8)
  file.writeBigUInt64LE(BigInt(text.length), table + 56 + 32)
  text.copy(file, at)
  return file
}
