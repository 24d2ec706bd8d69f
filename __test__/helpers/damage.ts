import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import type { BindingSegment } from '../../lib/native/native.js'

/** Where the bitmap of a pool segment starts: docs/internals/layout.md. */
const BITMAP_BYTES = 4096
const PAGE_BYTES = 4096
const MAX_PARTICIPANTS = 128

/** Whether the bitmap of the pool segment at `path` says that buffer `index` is allocated. */
export function isAllocated(path: string, index: number): boolean {
  return (byteOf(path, index) & (1 << (index % 8))) !== 0
}

/** Flips the bit of buffer `index` in the bitmap of the pool segment at `path`; returns what undoes it. */
export function flipAllocated(path: string, index: number): () => void {
  const before = byteOf(path, index)
  const flipped = before ^ (1 << (index % 8))
  setByte(path, index, flipped)
  return () => setByte(path, index, before)
}

/** Erases what the ledger of the pool segment at `path` says that participant 0 holds of buffer `index`. */
export function eraseHeld(path: string, { payload, stride }: BindingSegment, index: number): void {
  const rowBytes = Math.ceil(((payload.byteLength / stride) * 4) / PAGE_BYTES) * PAGE_BYTES
  const fd = openSync(path, 'r+')
  const ledger = fstatSync(fd).size - payload.byteLength - MAX_PARTICIPANTS * rowBytes
  writeSync(fd, Buffer.alloc(4), 0, 4, ledger + index * 4)
  closeSync(fd)
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
