// Installed and required, it works: by name, from CommonJS.
const { ShmManager } = require('millrace')

async function check() {
  const shm = ShmManager.open('check')
  const queue = shm.portQueue('values', { codec: 'msgpack' })
  const value = queue.get()
  setTimeout(() => queue.put(new Map([['by', 'CommonJS']])), 10)
  console.log(`millrace works by ${(await value).get('by')}`)
  shm.close()
}

void check()
