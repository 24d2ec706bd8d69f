import type { BufferPtr, ShmManager } from '../../index.js'

/** Takes every buffer of that size that there is. */
export function takeAll(shm: ShmManager, bytes: number): BufferPtr[] {
  const all: BufferPtr[] = []
  for (let buffer = shm.tryAllocate(bytes); buffer !== null; buffer = shm.tryAllocate(bytes)) all.push(buffer)
  return all
}
