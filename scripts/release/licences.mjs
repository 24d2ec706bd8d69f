// Licences of what is linked into an addon.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { outputOf } from './output.mjs'

const LICENCE_FILE = /^(licen[cs]e|copying|notice)/i
const OTHER_CHOICE = /apache|bsd|copying/i

/** Crates that the addon of a target links, without those that only run while it is built. */
export function cratesOf(triple) {
  const args = ['metadata', '--locked', '--format-version', '1', '--filter-platform', triple]
  const stdout = outputOf('cargo', ...args)
  if (stdout === undefined) throw new Error(`cargo ${args.join(' ')} has failed`)
  const { packages, resolve } = JSON.parse(stdout)
  const crates = new Map(packages.map((crate) => [crate.id, crate]))
  const links = new Map(resolve.nodes.map(({ id, deps }) => [id, deps.filter(isLinked).map(({ pkg }) => pkg)]))
  const found = new Set()
  const visit = (id) => {
    const crate = crates.get(id)
    if (found.has(crate) || crate.targets.some(({ kind }) => kind.includes('proc-macro'))) return
    found.add(crate)
    links.get(id).forEach(visit)
  }
  visit(packages.find(({ name }) => name === 'millrace-node').id)
  return [...found].filter(({ source }) => source !== null).toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function isLinked({ dep_kinds: kinds }) {
  return kinds.some(({ kind }) => kind === null)
}

/** The licence texts of a crate: of those to choose from that of MIT, if it is one. */
function textOf({ manifest_path: manifest }) {
  const folder = dirname(manifest)
  const files = readdirSync(folder).filter((file) => LICENCE_FILE.test(file))
  const kept = files.some((file) => /mit/i.test(file)) ? files.filter((file) => !OTHER_CHOICE.test(file)) : files
  return kept.map((file) => readFileSync(join(folder, file), 'utf8').trim()).join('\n\n')
}

/** All of them as one text, for `triple`, each text once. */
export function licencesOf(triple) {
  const byText = new Map()
  for (const crate of cratesOf(triple)) {
    const text = textOf(crate)
    byText.set(text, [...(byText.get(text) ?? []), crate])
  }
  const parts = [...byText].map(([text, crates]) => {
    const names = crates.map(
      ({ name, version, license, repository }) => `${name} ${version} (${license}) ${repository ?? ''}`,
    )
    return `${names.join('\n')}\n\n${text === '' ? 'Under the terms of LICENSE-MIT beside this file, of its own authors.' : text}\n`
  })
  return ['The crates that are linked into this addon, with their licences.\n', ...parts].join(
    `\n${'-'.repeat(80)}\n\n`,
  )
}
