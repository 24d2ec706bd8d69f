import type { BufferPtr } from '../memory/buffer-ptr.js'
import type { Codec, CodecName, NamedCodec } from '../codec/codec.js'
import { codecOf } from '../codec/codec.js'
import { invalidArgument, MillraceError } from '../errors.js'
import { MAX_CODEC_BYTES } from '../native/generated/limits.js'
import type { ShmManager } from '../domain/manager.js'
import type { WaitOptions } from '../options.js'
import { checkInteger, checkObject, checkSignal } from '../options.js'
import type { Session } from '../session/session.js'
import type { Core } from './client.js'
import { Client, closedHere } from './client.js'
import { RETRIES_MAX, WINDOW_MAX } from './envelope.js'
import { Payload } from './payload.js'
import type { Post } from './post.js'
import type { RequestContext } from './run.js'
import { Server } from './server.js'

/** Longest name of a service: names of its queues are made of it. */
export const MAX_SERVICE_NAME = 40

/** Options of {@link ShmManager.service}. */
export interface ServiceOptions<Req, Res> {
  /** How requests become bytes, and replies, too, unless `replyCodec` is given. Default: `buffer`, which is no codec. */
  codec?: 'buffer' | CodecName | Codec<Req>
  /** How replies become bytes. Default: as requests. */
  replyCodec?: 'buffer' | CodecName | Codec<Res>
  /** Requests that wait for a server at most; clients wait when there are more. Default: 1024, or what the service has. */
  capacity?: number
  /** Requests of this participant that are under way at most; more wait. Default: 256. */
  inFlight?: number
}

/** Options of {@link Service.request}. */
export interface RequestOptions extends WaitOptions {
  /**
   * How often the request may be run again when a server dies, or closes, while it runs it; 0 … 100. Say so only of requests
   * that bear to be run twice. Default: 0, which ends it with `ERR_MILLRACE_SERVER_LOST`. A request that no server has begun to
   * run is never lost, and is not counted.
   */
  retry?: number
}

/** Options of {@link Service.stream}. */
export interface StreamOptions extends RequestOptions {
  /** Items that may be under way, 1 … 255. Default: 16. */
  window?: number
}

/** Options of {@link Service.serve}. */
export interface ServeOptions {
  /** Requests that are run at once, 1 … 65 536. Default: 16. */
  concurrency?: number
  /** Stops: nothing more is begun. */
  signal?: AbortSignal
}

/** What can be sent where a `T` is expected: a buffer is sent as it is; without a codec, bytes are copied into one. */
export type Sendable<T> = T | BufferPtr | (T extends BufferPtr ? Uint8Array : never)

/**
 * Answers requests. For {@link Service.request} with a {@link Sendable} value, for {@link Service.stream} with an iterable of
 * such values, as an async generator makes. A buffer that is answered is moved, without copy. What it throws arrives at the client.
 */
export type ServiceHandler<Req, Res> = (request: Req, context: RequestContext) => Answer<Res> | PromiseLike<Answer<Res>>

type Answer<Res> = Sendable<Res> | AsyncIterable<Sendable<Res>> | Iterable<Sendable<Res>>

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
  readonly #core: Core<Req, Res>
  readonly #client: Client<Req, Res>
  readonly #onClose: () => void
  #server: Server<Req, Res> | undefined
  #serving = false
  #closed = false

  /** @internal */
  constructor(
    shm: ShmManager,
    session: Session,
    post: Post,
    name: string,
    options: ServiceOptions<Req, Res>,
    onClose: () => void,
  ) {
    const { inFlight = 256, capacity } = options
    checkInteger('inFlight', inFlight, 1, 2 ** 16)
    const { request, reply, recorded } = codecsOf(options)
    const queue = shm.portQueue(`${name}.requests`, {
      delivery: 'at-least-once',
      codec: { name: recorded, encode: (bytes: Uint8Array) => bytes, decode: (bytes: Uint8Array) => bytes },
      ...(capacity !== undefined && { capacity }),
    })
    this.name = name
    this.#onClose = onClose
    this.#core = {
      name,
      shm,
      session,
      post,
      queue,
      requests: new Payload(session, shm.allocator, request),
      replies: new Payload(session, shm.allocator, reply),
    }
    this.#client = new Client(this.#core, inFlight)
  }

  /**
   * Sends a request and waits for its reply: without a codec a buffer, which is yours to release. A buffer is taken over, however
   * the call ends. The deadline goes with the request, which is not begun after it; the signal ends it, wherever it is.
   * @throws {@link MillraceError} `ERR_MILLRACE_TIMEOUT`, whose message says whether a server has begun to run it;
   * `_SERVER_LOST`: a server had, and is gone; `_CLOSED`, `_DESTROYED`, `_EXHAUSTED`; and what the handler threw, with a property
   * `remote`, or `ERR_MILLRACE_REMOTE` if that is no error.
   */
  request(value: Sendable<Req>, options: RequestOptions = {}): Promise<Res> {
    try {
      this.#checkOpen()
      return this.#client.request(value, checkRetry(options), options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Sends a request whose reply is a stream, when the first item is asked for. The server is at most `window` items ahead. Leaving
   * the loop ends the server's generator. Without a codec each item is a buffer, released at the end of its turn. A stream is
   * run again, as `retry` allows, only until its first item has come. The timeout is that of the whole stream. Errors as of
   * {@link Service.request}.
   */
  stream(value: Sendable<Req>, options: StreamOptions = {}): AsyncIterableIterator<Res, undefined> {
    this.#checkOpen()
    const retry = checkRetry(options)
    return this.#client.stream(value, retry, checkInteger('window', options.window ?? 16, 1, WINDOW_MAX), options)
  }

  /**
   * Runs requests by `handler`, and keeps the process alive. Resolves once `signal` has aborted and what was running has ended, or
   * when the service is closed here, which gives what is running to others as far as its clients allow.
   * @throws {@link MillraceError} `ERR_MILLRACE_ROLE` when this participant serves it already, `_DESTROYED`
   */
  async serve(handler: ServiceHandler<Req, Res>, options: ServeOptions = {}): Promise<void> {
    this.#checkOpen()
    if (typeof handler !== 'function') throw invalidArgument('handler', 'a function', handler)
    const { concurrency = 16, signal } = checkObject('options', options)
    checkInteger('concurrency', concurrency, 1, 2 ** 16)
    if (checkSignal(signal)?.aborted) return
    if (this.#serving) {
      throw new MillraceError('ERR_MILLRACE_ROLE', `service '${this.name}' is served by this participant already`)
    }
    const server = new Server<Req, Res>(this.#core, handler, concurrency)
    this.#server = server
    this.#serving = true
    const stop = () => server.stop()
    signal?.addEventListener('abort', stop, { once: true })
    try {
      await server.run()
    } finally {
      signal?.removeEventListener('abort', stop)
      this.#serving = false
    }
  }

  /** Counters. */
  stats(): ServiceStats {
    const { post, queue, requests, replies } = this.#core
    const { requested, pending, failed, timedOut, aborted } = this.#client
    const { served, running, failed: threw, expired, cancelled, refused } = this.#server ?? NO_WORK
    const copied = requests.copied + replies.copied
    const shared = { servers: post.servers(this.name).length, queued: queue.depth }
    const client = { requested, pending, failed, timedOut, aborted }
    return { ...shared, ...client, served, running, threw, expired, cancelled, refused, copied }
  }

  /** Ends what this participant does here: its requests fail with `ERR_MILLRACE_CLOSED`, its serving ends. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#server?.close()
    this.#client.close()
    this.#onClose()
  }

  /** Removes the service for everybody: every request and every server ends with `ERR_MILLRACE_DESTROYED`. */
  destroy(): void {
    this.#checkOpen()
    this.close()
    this.#core.queue.destroy()
    this.#core.post.destroyAll(this.name)
  }

  /** The same as {@link Service.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #checkOpen(): void {
    if (this.#core.session.closed) throw this.#core.session.closedFailure()
    if (this.#closed) throw closedHere(this.name)
  }
}

interface Codecs<Req, Res> {
  request: NamedCodec<Req> | undefined
  reply: NamedCodec<Res> | undefined
  /** What the queue of requests remembers of both. */
  recorded: string
}

function codecsOf<Req, Res>(options: ServiceOptions<Req, Res>): Codecs<Req, Res> {
  const { codec = 'buffer', replyCodec = codec } = options
  const request = codec === 'buffer' ? undefined : codecOf(codec as Codec<Req>)
  const reply = replyCodec === 'buffer' ? undefined : codecOf(replyCodec as Codec<Res>)
  const [from, to] = [request?.name ?? 'buffer', reply?.name ?? 'buffer']
  const recorded = from === to ? `service:${from}` : `service:${from}>${to}`
  if (Buffer.byteLength(recorded) <= MAX_CODEC_BYTES) return { request, reply, recorded }
  throw invalidArgument('codec names', `at most ${MAX_CODEC_BYTES} bytes in '${recorded}'`, recorded)
}

function checkRetry(options: RequestOptions): number {
  return checkInteger('retry', checkObject('options', options).retry ?? 0, 0, RETRIES_MAX)
}
