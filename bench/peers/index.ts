import { atomicsRing } from './atomics-ring.js'
import { ipcAdvanced, ipcJson } from './child-process.js'
import { messagePortCopy, messagePortTransfer } from './message-port.js'
import { millrace, millraceBatches, millraceCopies, millraceSpinning } from './millrace.js'
import { redis } from './redis.js'
import type { Transport } from './transport.js'
import { unixSocket, unixSocketBatched } from './unix-socket.js'
import { zeromq } from './zeromq.js'

/** Every transport: a new one is a file beside this one and a line here. */
export const transports: readonly Transport[] = [
  millrace,
  millraceBatches,
  millraceSpinning,
  millraceCopies,
  unixSocket,
  unixSocketBatched,
  zeromq,
  ipcAdvanced,
  ipcJson,
  messagePortCopy,
  messagePortTransfer,
  atomicsRing,
  redis,
]

/** The transport of that name. */
export function transportOf(name: string): Transport {
  const found = transports.find((transport) => transport.name === name)
  if (found === undefined) throw new Error(`there is no transport '${name}'`)
  return found
}
