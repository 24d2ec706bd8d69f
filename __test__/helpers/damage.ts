import { closeSync, openSync, readSync, writeSync } from 'node:fs'

/** Where the bitmap of a pool segment starts: docs/internals/layout.md. */
const BITMAP_BYTES = 4096

/** Whether the bitmap of the pool segment at `path` says that buffer `index` is allocated. */
export function isAllocated(path: string, index: number): boolean {
  return (byteOf(path, index) & (1 << (index % 8))) !== 0
}

/** Flips the bit of buffer `index` in the bitmap of the pool segment at `path`; answers what undoes it. */
export function flipAllocated(path: string, index: number): () => void {
  const before = byteOf(path, index)
  const flipped = before ^ (1 << (index % 8))
  setByte(path, index, flipped)
  return () => setByte(path, index, before)
}

function byteOf(path: string, index: number): number {
  const byte = Buffer.alloc(1)
  const fd = openSync(path, 'r')
  readSync(fd, byte, 0, 1, BITMAP_BYTES + (index >> 3))
  closeSync(fd)
  return byte[0]!
}

function setByte(path: string, index: number, byte: number): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, Buffer.from([byte]), 0, 1, BITMAP_BYTES + (index >> 3))
  closeSync(fd)
}
