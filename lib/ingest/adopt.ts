import type { OnReadOpts, SocketConstructorOpts } from 'node:net'
import { Socket } from 'node:net'
import { invalidArgument, MillraceError } from '../errors.js'

/** What of a net.Socket has no public name: child_process hands sockets over in the same way. */
interface Inside {
  ['_handle']: { reading?: boolean; readStop?: () => number } | null
  ['_server']: object | null
  connecting: boolean
  encrypted?: boolean
}

/** A connection without a socket. */
interface Detached {
  /** What its socket had received and not handed out. */
  readonly received: Uint8Array[]
  /** Gives it a new socket, which reads at once. */
  readonly attach: (onread: OnReadOpts) => Socket
}

export function isSocket(source: object): source is Socket {
  return source instanceof Socket
}

/**
 * Takes the connection of `socket`, which is of no use afterwards: Node fixes where a socket reads to when it makes it.
 * @throws {@link MillraceError} `ERR_MILLRACE_INVALID_ARGUMENT` if bytes of either direction could be lost, `ERR_MILLRACE_UNSUPPORTED` where
 * sockets cannot be taken over, as on Bun; the socket is as before then
 */
export function detach(socket: Socket): Detached {
  const inside = socket as Socket & Inside
  const rule = obstacle(inside)
  if (rule !== undefined) throw invalidArgument('a socket to read from', rule, socket)
  const { _handle: handle, _server: server } = inside
  if (typeof handle!.readStop !== 'function') {
    const message =
      'this runtime does not hand sockets over: say where to connect to, { port } or { path }, or iterate over the socket'
    throw new MillraceError('ERR_MILLRACE_UNSUPPORTED', message)
  }
  handle!.reading = false
  handle!.readStop()
  Object.assign(inside, { _handle: null, _server: null })
  const received: Uint8Array[] = []
  for (let bytes = socket.read(); bytes !== null; bytes = socket.read()) received.push(bytes as Uint8Array)
  const attach = (onread: OnReadOpts) => {
    const options = { handle, onread, allowHalfOpen: socket.allowHalfOpen } as SocketConstructorOpts
    // The server counts its connections.
    return Object.assign(new Socket(options), { server, _server: server }) as Socket
  }
  return { received, attach }
}

/** What `socket` would have to be to be taken over; undefined: it can be. */
function obstacle(socket: Socket & Inside): string | undefined {
  if (socket.encrypted) return 'one without TLS (iterate over that one)'
  if (socket.connecting) return 'connected (wait for its event "connect", or say where to connect to instead)'
  if (socket['_handle'] === null || socket.destroyed || socket.readableEnded) return 'open, and not taken over already'
  if (socket.readableFlowing || socket.listenerCount('data') + socket.listenerCount('readable') > 0) {
    return 'one that nobody reads from (pause() it and take its listeners away, or accept it with pauseOnConnect)'
  }
  if (socket.readableEncoding !== null) return 'one without setEncoding()'
  if (socket.writableLength > 0 || (socket.writableEnded && !socket.writableFinished)) {
    return 'one that has written all it was given (wait for the callback of the last write)'
  }
  return undefined
}
