// What the worker threads of worker.spec.ts do: one function of `jobs` each, named in workerData.
import { parentPort, workerData } from 'node:worker_threads'
import { type MillraceError, SageQueue, ShmManager } from '../../index.js'

export interface WorkerData {
  job: keyof typeof jobs
  domain: string
}

const { job, domain } = workerData as WorkerData

const jobs = {
  /** Blocks for messages and sends each back, until the queue ends. */
  echoSync() {
    using shm = ShmManager.open(domain)
    const [from, to] = [shm.portQueue('to-worker'), shm.portQueue('from-worker')]
    try {
      for (;;) to.sendSync(from.receiveSync())
    } catch (error) {
      parentPort!.postMessage((error as MillraceError).code)
    }
  },
  /** The same on the event loop. */
  async echo() {
    using shm = ShmManager.open(domain)
    const [from, to] = [shm.portQueue('to-worker'), shm.portQueue('from-worker')]
    for await (const message of from) await to.send(message)
  },
  /** Blocks for ever, with a buffer in hand. */
  hang() {
    const shm = ShmManager.open(domain)
    shm.allocate(5000)
    parentPort!.postMessage('hanging')
    shm.portQueue('to-worker').receiveSync()
  },
  /** Blocks for ever, with three messages in hand. */
  lease() {
    const shm = ShmManager.open(domain)
    const { length } = shm.portQueue('to-worker').receiveMany(3)
    parentPort!.postMessage(length)
    shm.portQueue('nowhere').receiveSync()
  },
  /** Waits for ever, with a value of a SageQueue in hand. */
  async work() {
    const queue = new SageQueue('jobs', { domain })
    parentPort!.postMessage(await queue.get())
    await queue.get()
  },
  /** Takes a message and goes on to write into it: characters of one byte, then of two, as fast as it can. */
  async scribble() {
    const shm = ShmManager.open(domain)
    const { bytes } = await shm.portQueue('to-worker').receive()
    const texts = ['a', 'é'].map((letter) =>
      new Uint8Array(bytes.length).map((_, i) => Buffer.from(letter)[i % Buffer.byteLength(letter)]!),
    )
    parentPort!.postMessage('scribbling')
    for (;;) for (const text of texts) bytes.set(text)
  },
  /** Opens, says where, and leaves with the next message. */
  where() {
    const shm = ShmManager.open(domain)
    parentPort!.postMessage(shm.directory)
    parentPort!.once('message', () => shm.close())
  },
  /** Opens, and ends without closing. */
  abandon() {
    const shm = ShmManager.open(domain)
    shm.portQueue('to-worker').tryReceive()
    shm.on('participant-lost', () => {})
  },
}

await jobs[job]()
