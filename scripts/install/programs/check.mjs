// Installed and imported, it works: by name, from ESM.
import { ShmManager } from 'millrace'

const shm = ShmManager.open('check')
const queue = shm.portQueue('values', { codec: 'msgpack' })
const value = queue.get()
setTimeout(() => queue.put(new Map([['by', 'ESM']])), 10)
console.log(`millrace works by ${(await value).get('by')}`)
shm.close()
