// A request is answered by what has gone through shared memory.
import { ShmManager } from 'millrace'

export const dynamic = 'force-dynamic'

export async function GET() {
  const shm = ShmManager.open('check')
  const queue = shm.portQueue('values', { codec: 'msgpack' })
  const value = queue.get()
  setTimeout(() => queue.put(new Map([['by', 'Next.js']])), 10)
  const text = `millrace works by ${(await value).get('by')}`
  shm.close()
  return new Response(text)
}
