// A registry of packages on the loopback interface: what package managers ask it for, and no more.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'

/** Package managers may refuse what was published only just now. */
const PUBLISHED = '2020-01-01T00:00:00.000Z'

/** Serves packages of these manifests, with the tarballs that `npm pack` left in `folder`; a package may have none. */
export async function startRegistry(manifests, folder) {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, url).pathname).slice(1)
    const tarball = join(folder, path.replace(/^.*\//, ''))
    const manifest = manifests.find(({ name }) => name === path)
    if (manifest !== undefined) {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(packumentOf(manifest, folder, url)))
    } else if (path.endsWith('.tgz') && existsSync(tarball)) {
      response.end(readFileSync(tarball))
    } else {
      response.statusCode = 404
      response.end('{}')
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}/`
  return { url, close: () => server.close() }
}

function packumentOf(manifest, folder, url) {
  const { name, version } = manifest
  const file = `${name}-${version}.tgz`
  const tarball = `${url}${name}/-/${file}`
  const dist = existsSync(join(folder, file))
    ? { tarball, ...digestsOf(readFileSync(join(folder, file))) }
    : { tarball }
  return {
    name,
    'dist-tags': { latest: version },
    versions: { [version]: { ...manifest, dist } },
    time: { created: PUBLISHED, modified: PUBLISHED, [version]: PUBLISHED },
  }
}

function digestsOf(bytes) {
  return {
    integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
    shasum: createHash('sha1').update(bytes).digest('hex'),
  }
}
