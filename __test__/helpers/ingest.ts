import { mkdtempSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import type { BufferPtr, ShmManager } from '../../index.js'

export const MIB = 1 << 20

/** A directory of the test's own. */
export function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-ingest-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

export async function fileOf(t: ExecutionContext, bytes: Uint8Array): Promise<string> {
  const path = join(folder(t), 'file')
  await writeFile(path, bytes)
  return path
}

/** Everything `source` yields, as one piece, through a queue: buffers are handed on as they came. */
export async function through(shm: ShmManager, source: AsyncIterable<BufferPtr>): Promise<Buffer> {
  const queue = shm.portQueue('pieces', { capacity: 4096 })
  for await (const buffer of source) await queue.send(buffer)
  return Buffer.concat(
    queue.receiveMany(4096).map((message) => {
      const piece = message.copy()
      message.release()
      return piece
    }),
  )
}

/** Where in memory `bytes` lie: which mapping, and where in it. */
export function placeOf({ buffer, byteOffset }: Uint8Array): { buffer: ArrayBufferLike; byteOffset: number } {
  return { buffer, byteOffset }
}
