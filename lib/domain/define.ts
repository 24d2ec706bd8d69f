import { checkName } from '../check.js'
import { invalidArgument, misuse } from '../errors.js'
import type { StandardSchema } from '../codec/standard-schema.js'
import type { CodecName, Codec, CodecOption, ValueCodecName, WithCodec } from '../codec/types.js'
import { validated } from '../codec/validated.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import type { QueueOptions } from '../queue/options.js'
import type { ServiceCodecs, ServiceOptions } from '../service/options.js'
import type { TopicOptions } from '../topic/options.js'

/** The name of what is defined. */
export interface Named {
  /** 1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit. */
  name: string
}

/** A validator for the values of a queue or topic, and how they become bytes. */
export interface WithSchema<T> {
  /** How values become bytes and bytes values. */
  codec: CodecOption<T>
  /**
   * A validator by the Standard Schema, such as one of zod, valibot or arktype, that need not be waited for: what is put is what it makes
   * of a value. What comes out has been looked at by whoever put it in.
   */
  schema: StandardSchema<T>
}

/** Validators for the values of a service. */
export interface ServiceSchemas<Req, Res> {
  /** As {@link WithSchema.schema}, of requests. */
  schema?: StandardSchema<Req>
  /** The same of replies. */
  replySchema?: StandardSchema<Res>
}

/** What is defined, as `defineQueue`, `defineTopic` and `defineService` make it, for the method of {@link ShmManager} that opens it. */
export interface Definition<Kind extends 'queue' | 'topic' | 'service', Options> extends Readonly<Named> {
  /** What it is. */
  readonly kind: Kind
  /** How it is opened. A codec among them validates, if that was asked for. */
  readonly options: Options
}

/** A queue, for {@link ShmManager.portQueue}. */
export type QueueDefinition<T = Uint8Array> = Definition<'queue', QueueOptions<T>>

/** A topic, for {@link ShmManager.topic}. */
export type TopicDefinition<T = Uint8Array> = Definition<'topic', TopicOptions<T>>

/** A service, for {@link ShmManager.service}. */
export type ServiceDefinition<Req = BufferPtr, Res = BufferPtr> = Definition<'service', ServiceOptions<Req, Res>>

/**
 * A queue as both of its sides should know it: name, codec, validator and options, in one place.
 * @throws {@link MillraceError} `ERR_MILLRACE_INVALID_NAME`, `_INVALID_ARGUMENT`
 */
export function defineQueue<T>(definition: Named & QueueOptions<T> & WithSchema<T>): QueueDefinition<T>
export function defineQueue<T = unknown>(
  definition: Named & QueueOptions<T> & { codec: ValueCodecName },
): QueueDefinition<T>
export function defineQueue<T = Uint8Array>(definition: Named & WithCodec<QueueOptions<T>, T>): QueueDefinition<T>
export function defineQueue<T>({ name, ...options }: Named & Partial<WithSchema<T>>): QueueDefinition<T> {
  return define('queue', name, withValidator(`queue "${name}"`, options))
}

/** A topic as all who publish and subscribe should know it; otherwise as {@link defineQueue}. */
export function defineTopic<T>(definition: Named & TopicOptions<T> & WithSchema<T>): TopicDefinition<T>
export function defineTopic<T = unknown>(
  definition: Named & TopicOptions<T> & { codec: ValueCodecName },
): TopicDefinition<T>
export function defineTopic<T = Uint8Array>(definition: Named & WithCodec<TopicOptions<T>, T>): TopicDefinition<T>
export function defineTopic<T>({ name, ...options }: Named & Partial<WithSchema<T>>): TopicDefinition<T> {
  return define('topic', name, withValidator(`topic "${name}"`, options))
}

/** What {@link defineService} makes a definition of. */
export type DefineServiceOptions<Req, Res> = Named &
  ServiceOptions<Req, Res> &
  ServiceCodecs<Req, Res> &
  ServiceSchemas<Req, Res>

/** A service as its servers and clients should know it; otherwise as {@link defineQueue}. */
export function defineService<Req = unknown, Res = unknown>(
  definition: DefineServiceOptions<Req, Res> & { codec: ValueCodecName },
): ServiceDefinition<Req, Res>
export function defineService<Req = BufferPtr, Res = BufferPtr>(
  definition: DefineServiceOptions<Req, Res>,
): ServiceDefinition<Req, Res>
export function defineService<Req, Res>(definition: DefineServiceOptions<Req, Res>): ServiceDefinition<Req, Res> {
  const { name, schema, replySchema, ...options } = definition
  const { codec, replyCodec = codec, ...others } = options as ServiceOptions<Req, Res>
  const requests = withValidator<Req>(`requests to service "${name}"`, { codec, schema })
  const replies = withValidator<Res>(`replies of service "${name}"`, { codec: replyCodec, schema: replySchema })
  return define('service', name, {
    ...others,
    ...requests,
    ...(replies.codec !== undefined && { replyCodec: replies.codec }),
  })
}

/** @internal The name and options of `what`, which is a definition, or a name beside `options`. */
export function definedAs<Kind extends 'queue' | 'topic' | 'service', Options>(
  kind: Kind,
  what: string | Definition<Kind, Options>,
  options: Options | undefined,
): [name: string, options: Options | undefined] {
  if (typeof what !== 'object' || what === null) {
    if (options !== null) return [what, options]
    throw invalidArgument(`options of ${kind} "${what}"`, 'an object', options)
  }
  if (what.kind === kind && options === undefined) return [what.name, what.options]
  if (what.kind === kind)
    throw misuse(`the options of ${kind} "${what.name}" are in its definition, and none are possible beside it`)
  if (typeof what.kind === 'string')
    throw misuse(`a ${kind} was asked for by the definition of ${what.kind} "${what.name}"`)
  throw invalidArgument(`what names a ${kind}`, `its name, or its definition alone`, what)
}

function define<Kind extends 'queue' | 'topic' | 'service', Options>(
  kind: Kind,
  name: string,
  options: object,
): Definition<Kind, Options> {
  return { kind, name: checkName(kind, name), options: options as Options }
}

/** `options` with a codec that validates first, if there is a validator. */
function withValidator<T>(what: string, options: { codec?: unknown; schema?: StandardSchema<T> }): { codec?: unknown } {
  const { schema, ...others } = options
  if (schema === undefined) return others
  return { ...others, codec: validated(what, (options.codec ?? 'bytes') as CodecName | Codec<T>, schema) }
}
