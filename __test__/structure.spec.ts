import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import { codeIn, ROOT, tableOf, textOf } from './helpers/documents.js'

/** Rooms of lib/ in the order of ARCHITECTURE.md: a room may import from itself and from those before it. */
const ROOMS = tableOf('ARCHITECTURE.md', '| room').flatMap(([rooms]) => codeIn(rooms!))

/** Files of lib/, each with the files of lib/ that it imports: types, too, for who reads a file reads those. */
const IMPORTS = new Map(
  readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => [path, importsOf(path)] as const),
)

function importsOf(path: string): string[] {
  const named = [...textOf(join('lib', path)).matchAll(/\bfrom '(\.[^']*)\.js'/g)]
  return named.map(([, file]) => `${join(dirname(path), file!)}.ts`)
}

test('the imports that are looked at are all there are', (t) => {
  t.true(IMPORTS.size > 40)
  const unknown = [...IMPORTS].flatMap(([path, imports]) =>
    imports.filter((to) => !IMPORTS.has(to)).map((to) => [path, to]),
  )
  t.deepEqual(unknown, [])
})

test('no file of lib/ imports itself, over any number of others', (t) => {
  t.deepEqual(circlesIn(IMPORTS), [])
})

test('a circle would be found', (t) => {
  const circle = new Map([
    ['a', ['b', 'd']],
    ['b', ['c']],
    ['c', ['a']],
    ['d', []],
  ])
  t.deepEqual(circlesIn(circle), ['a → b → c → a'])
})

test('no room of lib/ imports from one below it', (t) => {
  t.deepEqual(
    upwards((path) => {
      const [first] = path.split('/')
      return ROOMS.indexOf(path.includes('/') ? `${first}/` : first!)
    }),
    [],
  )
})

test('nor does a room of lib/flow', (t) => {
  const rooms = tableOf('docs/internals/flow.md', '| room of').flatMap(([room]) => codeIn(room!))
  const found = new Set<number>()
  const wrong = upwards((path) => {
    const [lib, room, file] = path.split('/')
    if (lib !== 'flow') return 0
    const floor = file === undefined ? rooms.length : rooms.indexOf(`${room}/`)
    found.add(floor)
    return floor
  })
  t.deepEqual(wrong, [])
  t.deepEqual(
    [...found].toSorted((one, other) => one - other),
    [...rooms.keys(), rooms.length],
  )
})

/** Imports that lead from a floor to one above it. */
function upwards(floorOf: (path: string) => number): string[] {
  return [...IMPORTS].flatMap(([path, imports]) =>
    imports.filter((to) => floorOf(to) > floorOf(path)).map((to) => `${path} → ${to}`),
  )
}

/** Ways that lead back to where they began. */
function circlesIn(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const circles: string[] = []
  const done = new Set<string>()
  const way: string[] = []
  const visit = (path: string): void => {
    const at = way.indexOf(path)
    if (at >= 0) circles.push([...way.slice(at), path].join(' → '))
    if (at >= 0 || done.has(path)) return
    way.push(path)
    for (const next of imports.get(path) ?? []) visit(next)
    way.pop()
    done.add(path)
  }
  for (const path of imports.keys()) visit(path)
  return circles
}

/** A value in single quotes, in a text that is made of parts: of TypeScript or of Rust. */
const SINGLE_QUOTED = /`[^`\n]*'\$\{[^`\n]*`|"[^"\n]*'\{[^"\n]*"/g

test('names and values stand in double quotes in what is said', (t) => {
  const files = ['lib', 'cli', 'crates/core/src', 'crates/flow/src', 'crates/node/src'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
  )
  const found = files
    .filter((path) => /\.(ts|rs)$/.test(path))
    .flatMap((path) => textOf(path).match(SINGLE_QUOTED) ?? [])
  t.deepEqual(found, [])
  t.is('`queue \'${name}\'`, `it is "${it}"`, format!("queue \'{name}\'")'.match(SINGLE_QUOTED)?.length, 2)
})
