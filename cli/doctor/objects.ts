// Shared memory that belongs to no domain that can be found.
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DomainEntry } from '../../index.js'
import { bytes, plural } from '../units.js'
import type { Finding } from './finding.js'
import { SHM } from './machine.js'

/** Objects of one domain, by how their names begin: with user, device and inode of its directory. */
interface Objects {
  readonly prefix: string
  readonly inode: number
  readonly names: string[]
}

/**
 * What there is of domains whose directory is not among `domains`, and that no process has mapped, as far as can be seen. Linux only: elsewhere
 * memory objects cannot be listed.
 */
export function checkObjects(domains: readonly DomainEntry[]): Finding[] {
  if (!existsSync(SHM)) return []
  const known = new Set(domains.flatMap(({ directory }) => prefixOf(directory) ?? []))
  const strangers = objectsOfUser().filter(({ prefix }) => !known.has(prefix))
  if (strangers.length === 0) return []
  const mapped = mappedObjects()
  return strangers.filter(({ names }) => !names.some((name) => mapped.has(name))).map(told)
}

function told({ prefix, inode, names }: Objects): Finding {
  const takes = names.reduce((sum, name) => sum + memoryOf(name), 0)
  const message = `${plural(names.length, 'object')} ${prefix}* (${bytes(takes)}) of no domain in this directory, and nobody is seen to use them`
  const advice = `their domain is another directory's (\`find / -inum ${inode}\` says which; \`--directory\` looks there), or was deleted by hand: then \`rm ${SHM}/${prefix}*\``
  return { level: 'note', about: SHM, message, advice }
}

/** How the names of the objects of the domain in `directory` begin; null: it has gone. */
function prefixOf(directory: string): string | null {
  const stats = lstatSync(directory, { throwIfNoEntry: false })
  return stats === undefined ? null : `millrace.${stats.uid}.${stats.dev.toString(16)}.${stats.ino.toString(16)}.`
}

function objectsOfUser(): Objects[] {
  const found = new Map<string, Objects>()
  for (const name of readdirSync(SHM)) {
    const [, prefix, uid, inode] = /^(millrace\.(\d+)\.[0-9a-f]+\.([0-9a-f]+)\.)/.exec(name) ?? []
    if (prefix === undefined || Number(uid) !== process.getuid?.()) continue
    const objects = found.get(prefix) ?? { prefix, inode: Number.parseInt(inode!, 16), names: [] }
    objects.names.push(name)
    found.set(prefix, objects)
  }
  return [...found.values()]
}

/** Objects that a process has mapped, of those that we may look into. */
function mappedObjects(): Set<string> {
  const maps = readdirSync('/proc').flatMap((pid) => (/^\d+$/.test(pid) ? mapsOf(pid) : []))
  return new Set(maps.flatMap((text) => [...text.matchAll(/\/(millrace\.[^\s/]+)/g)].map(([, name]) => name!)))
}

function mapsOf(pid: string): string[] {
  try {
    return [readFileSync(join('/proc', pid, 'maps'), 'utf8')]
  } catch {
    return [] // it has ended, or is another user's
  }
}

function memoryOf(name: string): number {
  return (lstatSync(join(SHM, name), { throwIfNoEntry: false })?.blocks ?? 0) * 512
}
