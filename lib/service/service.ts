import type { SharedBufferAllocator } from '../memory/allocator.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import { decodingOf } from '../codec/decoding.js'
import { MillraceError } from '../errors.js'
import { checkFunction, checkInteger } from '../check.js'
import { bindQueueOptions } from '../queue/options.js'
import { onAbort } from '../session/cancel.js'
import { checkWaitOptions, limitsOf } from '../session/limits.js'
import type { Session } from '../session/session.js'
import { Client } from './client.js'
import type { Endpoint } from './endpoint.js'
import { closedHere } from './endpoint.js'
import type {
  RequestOptions,
  Sendable,
  ServeOptions,
  ServiceHandler,
  ServiceOptions,
  StreamOptions,
} from './options.js'
import { checkRequest, checkServe, checkStream, codecsOf } from './options.js'
import { Payload } from './payload.js'
import { Server } from './server.js'

/** What a service has done. All but `servers` and `queued` of this participant. */
export interface ServiceStats {
  /** Participants that serve it now. */
  servers: number
  /** Requests that wait for a server, of all clients. */
  queued: number
  /** Requests sent. */
  requested: number
  /** Requests under way. */
  pending: number
  /** Requests that ended with an error from a server. */
  failed: number
  /** Requests that ended with `ERR_MILLRACE_TIMEOUT`. */
  timedOut: number
  /** Requests that were ended by their signal. */
  aborted: number
  /** Requests run to an end, whatever that was; like all that follow, since `serve` was last called. */
  served: number
  /** Requests that are run now. */
  running: number
  /** Requests whose handler threw. */
  threw: number
  /** Requests not run because their deadline was over. */
  expired: number
  /** Requests not run because their client had cancelled them. */
  cancelled: number
  /** Requests not run because they had been, as often as their client allows, by servers that are gone. */
  refused: number
  /** Messages copied because their buffer had other references. */
  copied: number
}

const NO_WORK = { served: 0, running: 0, failed: 0, expired: 0, cancelled: 0, refused: 0 }

/**
 * Requests and replies, between any number of clients and servers in any processes. Each request is run by one server; one whose
 * server dies is run again as its client allows. Payloads are not copied: a buffer travels there and back as it is, except that
 * its `sequence`, `tag` and `source` carry the envelope.
 */
export class Service<Req = BufferPtr, Res = BufferPtr> implements Disposable {
  /** Its name in the domain. */
  readonly name: string
  readonly #endpoint: Endpoint<Req, Res>
  readonly #client: Client<Req, Res>
  readonly #onClose: () => void
  #server: Server<Req, Res> | undefined
  #serving = false
  #closed = false

  /** @internal */
  constructor(
    session: Session,
    allocator: SharedBufferAllocator,
    slot: number,
    name: string,
    options: ServiceOptions<Req, Res>,
    onClose: () => void,
  ) {
    const { inFlight = 256, capacity } = options
    checkInteger('inFlight', inFlight, 1, 2 ** 16)
    const { request, reply, recorded } = codecsOf(options)
    const bound = bindQueueOptions({ delivery: 'at-least-once', ...(capacity !== undefined && { capacity }) }, recorded)
    this.name = name
    this.#onClose = onClose
    this.#endpoint = {
      name,
      session,
      allocator,
      self: { slot, epoch: session.call((open) => open.epoch) },
      queue: session.call((open) => open.requests(name, bound)),
      requests: new Payload(session, request && decodingOf(`a request to service "${name}"`, request)),
      replies: new Payload(session, reply && decodingOf(`a reply of service "${name}"`, reply)),
    }
    this.#client = new Client(this.#endpoint, inFlight)
  }

  /**
   * Sends `value`, as it is now, and waits for the reply: without a codec a buffer, which is yours to release. A buffer is taken over by
   * the call, however that ends, also when it is refused. The deadline goes with the request, which is not begun after it; the signal ends it,
   * wherever it is.
   * @throws {@link MillraceError} `ERR_MILLRACE_TIMEOUT`, whose message says whether a server has begun to run it;
   * `_SERVER_LOST`: a server had, and is gone; `_CLOSED`, `_DESTROYED`, `_EXHAUSTED`; and what the handler threw, with a property
   * `remote`, or `ERR_MILLRACE_REMOTE` if that is no error.
   */
  request(value: Sendable<Req>, options: RequestOptions = {}): Promise<Res> {
    try {
      this.#checkOpen()
      const { retry, wait } = checkRequest(options)
      return this.#client.request(value, retry, limitsOf(wait))
    } catch (error) {
      discard(value)
      return Promise.reject(error)
    }
  }

  /**
   * A request whose reply is a stream; `value`, as it is now, is sent when the first item is asked for. A buffer is taken over by the
   * call, however that ends. The server is at most `window` items ahead. Leaving the loop ends the server's generator. Without a codec each item is a
   * buffer, released at the end of its turn. A stream is run again, as `retry` allows, only until its first item has come. The timeout
   * is that of the whole stream, from its first item on. An item that cannot be decoded ends it with `ERR_MILLRACE_DECODE`. Errors as of
   * {@link Service.request}.
   */
  stream(value: Sendable<Req>, options: StreamOptions = {}): AsyncIterableIterator<Res, undefined> {
    try {
      this.#checkOpen()
      const { retry, window, wait } = checkStream(options)
      return this.#client.stream(value, retry, window, checkWaitOptions(wait))
    } catch (error) {
      discard(value)
      throw error
    }
  }

  /**
   * Runs requests by `handler`, and keeps the process alive. Resolves once `signal` has aborted and what was running has ended, or
   * when the service is closed here, which gives what is running to others as far as its clients allow.
   * @throws {@link MillraceError} `ERR_MILLRACE_ROLE` when this participant serves it already, `_DESTROYED`; and whatever makes it
   * impossible to go on, such as a want of descriptors: then what is running is given to others as far as its clients allow
   */
  async serve(handler: ServiceHandler<Req, Res>, options: ServeOptions = {}): Promise<void> {
    this.#checkOpen()
    checkFunction('handler', handler)
    const { concurrency, signal } = checkServe(options)
    if (signal?.aborted) return
    if (this.#serving) {
      throw new MillraceError('ERR_MILLRACE_ROLE', `service "${this.name}" is served by this participant already`)
    }
    const server = new Server<Req, Res>(this.#endpoint, handler, concurrency)
    this.#server = server
    this.#serving = true
    const off = signal && onAbort(signal, () => server.stop())
    try {
      await server.run()
    } finally {
      off?.()
      this.#serving = false
    }
  }

  /** Counters. */
  stats(): ServiceStats {
    const { session, name, queue, requests, replies } = this.#endpoint
    const { requested, pending, failed, timedOut, aborted } = this.#client
    const { served, running, failed: threw, expired, cancelled, refused } = this.#server ?? NO_WORK
    const copied = requests.copied + replies.copied
    const shared = session.call((open) => ({ servers: open.servers(name).length, queued: open.depth(queue) ?? 0 }))
    const client = { requested, pending, failed, timedOut, aborted }
    return { ...shared, ...client, served, running, threw, expired, cancelled, refused, copied }
  }

  /** Ends what this participant does here: its requests fail with `ERR_MILLRACE_CLOSED`, its serving ends. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    try {
      this.#server?.close()
      this.#client.close()
    } finally {
      this.#onClose()
    }
  }

  /** Removes the service for everybody: every request and every server ends with `ERR_MILLRACE_DESTROYED`. */
  destroy(): void {
    this.#checkOpen()
    this.close()
    this.#endpoint.session.call((open) => open.destroyService(this.name))
  }

  /** The same as {@link Service.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** @internal Participants have left or died. */
  check(): void {
    this.#client.check()
    this.#server?.check()
  }

  #checkOpen(): void {
    if (this.#endpoint.session.closed) throw this.#endpoint.session.closedFailure()
    if (this.#closed) throw closedHere(this.name)
  }
}
