// What the packages are made of, as CycloneDX: the crates of each addon, and what is bundled.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BUNDLED } from '../libraries.mjs'
import { cratesOf } from './licences.mjs'
import { MANIFEST } from './manifests.mjs'
import { packageOf, ROOT } from './targets.mjs'

function component(ecosystem, { name, version, license }) {
  const purl = `pkg:${ecosystem}/${name}@${version}`
  // Some crates still separate alternatives as Cargo once had it.
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    licenses: [{ expression: license.replaceAll('/', ' OR ') }],
  }
}

function refs(components) {
  return components.map((one) => one['bom-ref'])
}

/** Of `millrace` with the packages of `targets`. */
export function billOfMaterials(targets) {
  const main = component('npm', MANIFEST)
  const platforms = targets.map((target) => ({
    bom: component('npm', { ...MANIFEST, name: packageOf(target) }),
    crates: cratesOf(target.triple).map((crate) => component('cargo', crate)),
  }))
  const bundled = BUNDLED.map((name) => {
    return component('npm', JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8')))
  })
  const all = [...bundled, ...platforms.flatMap(({ bom, crates }) => [bom, ...crates])]
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: main },
    components: [...new Map(all.map((one) => [one['bom-ref'], one])).values()],
    dependencies: [
      { ref: main['bom-ref'], dependsOn: refs([...bundled, ...platforms.map(({ bom }) => bom)]) },
      ...platforms.map(({ bom, crates }) => ({ ref: bom['bom-ref'], dependsOn: refs(crates) })),
    ],
  }
}
