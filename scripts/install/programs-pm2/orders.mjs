// Sends orders until pm2 has reloaded the consumers twice, and counts how often each was done. Ends when all consumers are there again.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { ShmManager } from 'millrace'

const CONSUMERS = 2
const [pm2] = process.argv.slice(2)
const reload = () => promisify(execFile)(process.execPath, [pm2, 'reload', 'consumer'])
const shm = ShmManager.open('orders')
const orders = shm.portQueue('orders', { codec: 'json', delivery: 'at-least-once' })
const done = shm.portQueue('done', { codec: 'json', capacity: 16 })
let sent = 0
const reloaded = new AbortController()
async function* numbered() {
  while (!reloaded.signal.aborted) yield { id: sent++ }
}
const sending = orders.putFrom(numbered())
const counts = new Map()
const counting = done.consume((message) => {
  const { id } = message.json()
  counts.set(id, (counts.get(id) ?? 0) + 1)
})
await reload()
await reload()
reloaded.abort()
await sending
const others = () => shm.registry.snapshot().participants.length - 1
while (counts.size < sent || others() !== CONSUMERS) await new Promise((resolve) => setTimeout(resolve, 10))
done.close()
await counting
const times = [...new Set(counts.values())].join(', ')
console.log(times === '1' ? 'each order was done once' : `${sent} orders were done so often: ${times}`)
shm.close()
