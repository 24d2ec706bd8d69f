// package.json of what is published.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileOf, packageOf, ROOT, TARGETS } from './targets.mjs'

/** What of package.json is for those who work on this. */
const OURS = new Set([
  'private',
  'workspaces',
  'files',
  'napi',
  'scripts',
  'ava',
  'devDependencies',
  'overrides',
  'allowScripts',
])

const ours = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

/** Of the package itself: it needs those of the platforms, each where it fits, and nothing else. */
export const MANIFEST = {
  ...Object.fromEntries(Object.entries(ours).filter(([key]) => !OURS.has(key))),
  optionalDependencies: Object.fromEntries(TARGETS.map((target) => [packageOf(target), ours.version])),
}

/** Of a platform's package. */
export function manifestOf(target) {
  const { os, cpu, libc, triple } = target
  const { version, license, repository, homepage, bugs, engines } = ours
  const file = fileOf(target)
  return {
    name: packageOf(target),
    version,
    description: `The addon of millrace for ${triple}`,
    license,
    repository,
    homepage,
    bugs,
    engines,
    os: [os],
    cpu: [cpu],
    ...(libc !== undefined && { libc: [libc] }),
    main: file,
    files: [file, 'LICENSE*'],
  }
}
