// Compiled with all that is strict, the types are those of the package.
import { ShmManager, type PortQueue } from 'millrace'

const shm: ShmManager = ShmManager.open('check')
const numbers: PortQueue<number> = shm.portQueue<number>('numbers', { codec: 'json' })
const first: number = await numbers.get({ timeout: 10 })
// @ts-expect-error: a queue of numbers takes no text.
await numbers.put(String(first))
shm.close()
