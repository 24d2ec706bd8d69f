// Memory that somebody damages while everything is in use: errors with codes, and nothing else.
import { closeSync, fstatSync, openSync, readdirSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import { ShmManager } from '../../index.js'
import type { HostileArgs, Met } from '../fixtures/hostile.js'
import { removeLeftovers, traceOf } from '../helpers/domain.js'
import { randomNumbers } from '../helpers/random.js'
import { startChild } from './children.js'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

/** Writes `word` into the object at `path`, if that is still there. */
function damage(path: string, word: number, at: (size: number) => number): void {
  let fd: number
  try {
    fd = openSync(path, 'r+')
  } catch (error) {
    // An empty segment has gone to serve another size.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(word)
  writeSync(fd, bytes, 0, 4, at(fstatSync(fd).size))
  closeSync(fd)
}

for (const seed of [1, 2, 3]) {
  onLinux(`memory that is damaged while everything is in use, ${seed}`, async (t) => {
    t.timeout(60_000)
    const name = `ava-${process.pid}-hostile-${seed}`
    const shm = ShmManager.open(name)
    const trace = traceOf(shm)
    t.teardown(() => removeLeftovers(trace))
    const args: HostileArgs = { domain: name, duration: 2500 }
    const child = await startChild(t, 'hostile', args).started()
    // This process has better things to do than to look at damaged memory.
    shm.close()
    const below = randomNumbers(seed)
    const work = { over: false }
    const hearing = child.hear<Met>().finally(() => (work.over = true))
    let damages = 0
    await setTimeout(300)
    while (!work.over) {
      const objects = readdirSync('/dev/shm').filter((object) => object.startsWith(trace.objects))
      // It has left already.
      if (objects.length === 0) break
      const path = join('/dev/shm', objects[below(objects.length)]!)
      const word = [0, 0xffff_ffff, below(256), 2 ** below(32)][below(4)]! >>> 0
      // Headers and tables lie at the beginning.
      damage(path, word, (size) => 64 + 4 * below(Math.min(size - 128, below(2) === 0 ? 1 << 14 : 1 << 18) >> 2))
      if (damages++ % 64 === 0) await setTimeout(1)
    }
    const met = await hearing
    t.deepEqual(met.strange, [])
    t.deepEqual(met.hung, [])
    t.is(met.panics, 0)
    t.true(damages > 100)
    t.log(damages, 'words were damaged', met.codes)
  })
}
