// The process of a Peer: joins the domain, and does what it is told, one thing after the other.
import { on } from 'node:events'
import { ShmManager } from '../domain/manager.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import type { Answer, Command, Commands, Moment, PeerArgs } from './peer-protocol.js'

const { domain, directory, name } = JSON.parse(process.argv[2]!) as PeerArgs
const shm = ShmManager.open(domain, { directory, name })
const held: BufferPtr[] = []
let death: { moment: Moment; count: number } | undefined

/** It has come to `moment`: dies there, if it is to. The signal is there before the call returns. */
function reached(moment: Moment): void {
  if (death?.moment === moment && --death.count === 0) process.kill(process.pid, 'SIGKILL')
}

const commands: { [C in keyof Commands]: (...args: Parameters<Commands[C]>) => unknown } = {
  dieAt(moment, count) {
    death = { moment, count }
  },
  async hold(bytes, count) {
    for (let i = 0; i < count; i++) {
      held.push(await shm.allocateAsync(bytes))
      reached('allocated')
    }
  },
  async send(queue, messages) {
    for (const message of messages) {
      const buffer = await shm.allocateAsync(message.length)
      buffer.bytes.set(message)
      reached('allocated')
      await shm.portQueue(queue).send(buffer)
      reached('sent')
    }
  },
  async take(queue, count) {
    const taken: Uint8Array[] = []
    for (let i = 0; i < count; i++) {
      const message = await shm.portQueue(queue).receive()
      held.push(message)
      reached('received')
      taken.push(message.bytes.slice())
    }
    return taken
  },
  release() {
    const { length } = held
    for (const reference of held.splice(0)) {
      reference.release()
      reached('released')
    }
    return length
  },
  close: () => shm.close(),
  exit: (code) => process.exit(code),
}

function tell(answer: Answer): void {
  process.send!(answer)
}

process.on('disconnect', () => process.exit())
const told = on(process, 'message')
tell({ result: shm.participant })
for await (const [{ command, args }] of told as AsyncIterable<[Command]>) {
  const run = commands[command] as (...args: unknown[]) => unknown
  try {
    tell({ result: await run(...args) })
  } catch (error) {
    tell({ error: error as Error, code: (error as { code?: unknown }).code })
  }
}
