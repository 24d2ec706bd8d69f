import type { Codec, CodecOption, NamedCodec } from '../codec/codec.js'
import { codecOf } from '../codec/codec.js'
import { invalidArgument } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { RUNS_MAX, WINDOW_MAX } from '../native/generated/envelope.js'
import { MAX_CODEC_BYTES } from '../native/generated/limits.js'
import type { WaitOptions } from '../session/limits.js'
import { WAIT_OPTIONS } from '../session/limits.js'
import type { OptionNames } from '../check.js'
import { checkInteger, checkOptions, checkSignal } from '../check.js'
import type { RequestContext } from './run.js'

/** A codec that can carry requests or replies of type `T`; `buffer` is none: buffers are handed over as they are. */
export type ServiceCodec<T> = CodecOption<T> | (BufferPtr extends T ? 'buffer' : never)

/** What a service needs to carry these requests and replies: codecs, unless both are buffers. One that is named alone carries both. */
export type ServiceCodecs<Req, Res> =
  | Required<Pick<ServiceOptions<Req, Res>, 'codec' | 'replyCodec'>>
  | OneCodec<ServiceCodec<Req> & ServiceCodec<Res>>
  | (BufferPtr extends Req & Res ? Partial<OneCodec<undefined>> : never)

/** Codec `C` for requests and replies alike. */
export interface OneCodec<C> {
  /** How requests and replies become bytes. */
  codec: C
  /** None: replies become bytes as requests do. */
  replyCodec?: undefined
}

/** Options of {@link ShmManager.service}. */
export interface ServiceOptions<Req, Res> {
  /** How requests become bytes, and replies, too, unless `replyCodec` is given. Default: `buffer`, which is no codec. */
  codec?: ServiceCodec<Req>
  /** How replies become bytes. Default: as requests. */
  replyCodec?: ServiceCodec<Res>
  /** Requests that wait for a server at most; clients wait when there are more. Default: 1024, or what the service has. */
  capacity?: number
  /** Requests of this participant that are under way at most; more wait. Default: 256. */
  inFlight?: number
}

/**
 * Options of {@link Service.request}. The timeout is that of the whole call; with 0 nothing is sent. A signal that has aborted already
 * ends the call with its reason, and nothing is sent either.
 */
export interface RequestOptions extends WaitOptions {
  /**
   * How often the request may be run again when a server dies, or closes, while it runs it; 0 … 100. Say so only of requests
   * that are idempotent. Default: 0, which ends it with `ERR_MILLRACE_SERVER_LOST`. A request that no server has begun to
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

/** @internal */
export const SERVICE_OPTIONS: OptionNames<ServiceOptions<never, never>> = {
  codec: true,
  replyCodec: true,
  capacity: true,
  inFlight: true,
}
const REQUEST_OPTIONS: OptionNames<RequestOptions> = { ...WAIT_OPTIONS, retry: true }
const STREAM_OPTIONS: OptionNames<StreamOptions> = { ...REQUEST_OPTIONS, window: true }
const SERVE_OPTIONS: OptionNames<ServeOptions> = { concurrency: true, signal: true }

/** What can be sent where a `T` is expected: a buffer is sent as it is; without a codec, bytes are copied into one. */
export type Sendable<T> = T | BufferPtr | (T extends BufferPtr ? Uint8Array : never)

/**
 * Handles requests. For {@link Service.request} with a {@link Sendable} value, for {@link Service.stream} with an iterable of
 * such values, as an async generator makes. A buffer that is returned is moved, without copy. What it throws arrives at the client.
 */
export type ServiceHandler<Req, Res> = (
  request: Req,
  context: RequestContext,
) => Returned<Res> | PromiseLike<Returned<Res>>

type Returned<Res> = Sendable<Res> | AsyncIterable<Sendable<Res>> | Iterable<Sendable<Res>>

interface Codecs<Req, Res> {
  request: NamedCodec<Req> | undefined
  reply: NamedCodec<Res> | undefined
  /** What the queue of requests remembers of both. */
  recorded: string
}

export function codecsOf<Req, Res>(options: ServiceOptions<Req, Res>): Codecs<Req, Res> {
  const { codec = 'buffer', replyCodec = codec } = options
  const request = codec === 'buffer' ? undefined : codecOf(codec as Codec<Req>)
  const reply = replyCodec === 'buffer' ? undefined : codecOf(replyCodec as Codec<Res>)
  const [from, to] = [request?.name ?? 'buffer', reply?.name ?? 'buffer']
  const recorded = from === to ? from : `${from}>${to}`
  if (Buffer.byteLength(recorded) <= MAX_CODEC_BYTES) return { request, reply, recorded }
  throw invalidArgument('codec names', `at most ${MAX_CODEC_BYTES} bytes in "${recorded}"`, recorded)
}

/** What `options` say of the runs of a request, and of the wait for its reply. */
export function checkRequest(options: RequestOptions): { retry: number; wait: WaitOptions } {
  const { retry = 0, ...wait } = checkOptions('request', options, REQUEST_OPTIONS)
  return { retry: checkInteger('retry', retry, 0, RUNS_MAX - 1), wait }
}

/** The same of a stream, and of its window. */
export function checkStream(options: StreamOptions): { retry: number; window: number; wait: WaitOptions } {
  const { window = 16, ...request } = checkOptions('stream', options, STREAM_OPTIONS)
  return { window: checkInteger('window', window, 1, WINDOW_MAX), ...checkRequest(request) }
}

/** What `options` say of serving. */
export function checkServe(options: ServeOptions): { concurrency: number; signal: AbortSignal | undefined } {
  const { concurrency = 16, signal } = checkOptions('serve', options, SERVE_OPTIONS)
  return { concurrency: checkInteger('concurrency', concurrency, 1, 2 ** 16), signal: checkSignal(signal) }
}
