// A file is read straight into shared memory and hashed by other processes: the bytes are never copied between them.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fromFile, ShmManager } from 'millrace'

const FILE_BYTES = 40_000_003
const CHUNK_BYTES = 1 << 20
const HASHERS = 2

const [role, domain] = process.argv.slice(2)
if (role === 'hasher') await hash(domain!)
else await ingest(`example-hash-${process.pid}`)

/** Answers each chunk with the digest of it, in the buffer in which it came. */
async function hash(name: string): Promise<void> {
  const shm = ShmManager.open(name)
  process.once('disconnect', () => process.exit())
  if (!process.connected) process.exit()
  await shm.service('sha256').serve((chunk) => {
    const digest = createHash('sha256').update(chunk.bytes).digest()
    chunk.length = digest.length
    chunk.bytes.set(digest)
    return chunk
  })
}

async function ingest(name: string): Promise<void> {
  using shm = ShmManager.open(name)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-example-'))
  const path = join(folder, 'file')
  writeFileSync(path, randomBytes(FILE_BYTES))
  const hashers = Array.from({ length: HASHERS }, () => fork(fileURLToPath(import.meta.url), ['hasher', name]))
  const sha256 = shm.service('sha256')

  const start = performance.now()
  const digests: Promise<string>[] = []
  for await (const chunk of fromFile(shm, path, { bytes: CHUNK_BYTES, prefetch: 8 })) {
    // No more than 16 at once.
    await digests.at(-16)
    // The file's buffer is the request, and the reply.
    digests.push(
      sha256.request(chunk).then((reply) => {
        using digest = reply
        return Buffer.from(digest.bytes).toString('hex')
      }),
    )
  }
  const got = await Promise.all(digests)
  const ms = performance.now() - start

  const content = readFileSync(path)
  const expected = got.map((_, i) =>
    createHash('sha256')
      .update(content.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES))
      .digest('hex'),
  )
  rmSync(folder, { recursive: true })
  assert.equal(got.length, Math.ceil(FILE_BYTES / CHUNK_BYTES))
  assert.deepEqual(got, expected)
  assert.equal(sha256.stats().copied, 0)
  for (const hasher of hashers) hasher.disconnect()
  console.log(`${FILE_BYTES} bytes in ${got.length} chunks, hashed by ${HASHERS} processes in ${ms.toFixed(0)} ms`)
  console.log('every digest is right, and no buffer was copied')
}
