// The same from CommonJS.
import millrace = require('millrace')

const shm: millrace.ShmManager = millrace.ShmManager.open('check')
const numbers: millrace.PortQueue<number> = shm.portQueue<number>('numbers', { codec: 'json' })
const first: number | undefined = numbers.tryGet()
// @ts-expect-error: a queue of numbers takes no text.
numbers.tryPut(String(first))
shm.close()
