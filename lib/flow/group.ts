import type { OptionNames } from '../check.js'
import { checkFunction, checkName, checkObject, checkOptions } from '../check.js'
import { invalidArgument } from '../errors.js'
import type { Block } from './block/block.js'
import type { FlowBlockOptions, FlowLinkOptions, Taken } from './block/options.js'
import { FLOW_BLOCK_OPTIONS } from './block/options.js'
import type { InputPort, OutputPort } from './block/port.js'

/** What blocks and links are added to: a flow, or a use of a {@link Group} in one. */
export interface GroupHost {
  /** Adds a block, as {@link Flow.add}. */
  add<B extends Block>(block: B, options?: FlowBlockOptions<Taken<B>>): B
  /** Links an output to an input, as {@link Flow.link}. */
  link<T>(from: OutputPort<T>, to: InputPort<T>, options?: FlowLinkOptions): this
  /** Adds the blocks of a group, as {@link Flow.use}. */
  use<P extends object, R>(used: Group<P, R>, parameters: P, options?: UseOptions): R
}

/** Options of {@link Flow.use}. */
export interface UseOptions {
  /** What the names of its blocks begin with. Default: that of the group and a number. */
  name?: string
}

const USE_OPTIONS: OptionNames<UseOptions> = { name: true }

/**
 * Blocks and links that are added together, as often as they are needed. Made by {@link group}.
 * @typeParam P its parameters
 * @typeParam R what it shows of itself: its ports
 */
export class Group<P extends object, R> {
  /** Its name. */
  readonly name: string
  readonly #build: (host: GroupHost, parameters: P) => R

  /** @internal */
  constructor(name: string, build: (host: GroupHost, parameters: P) => R) {
    this.name = checkName('group', name)
    this.#build = checkFunction(`the function of group "${name}"`, build)
  }

  /** @internal Adds its blocks to `host`, by names that begin with `prefix`. */
  build(host: GroupHost, prefix: string, parameters: P): R {
    return this.#build(new UsedGroup(host, prefix), checkObject(`parameters of group "${this.name}"`, parameters))
  }
}

/**
 * A group of blocks and links.
 * ```ts
 * const denoise = group('denoise', (g, { gain }: { gain: number }) => {
 *   const cut = g.add(filter('cut', samples, isNoNoise))
 *   const louder = g.add(new Gain({ factor: gain }), { name: 'gain' })
 *   g.link(cut.out, louder.in)
 *   return { in: cut.in, out: louder.out }
 * })
 * const first = f.use(denoise, { gain: 2 }) // blocks `denoise1.cut` and `denoise1.gain`
 * f.link(microphone.out, first.in)
 * ```
 * @param name what the names of its blocks begin with, with a number
 * @param build adds its blocks and links, and returns its ports; called for each use
 */
export function group<P extends object, R>(name: string, build: (host: GroupHost, parameters: P) => R): Group<P, R> {
  return new Group(name, build)
}

/** Numbers the uses of groups. */
export class GroupNames {
  readonly #uses = new Map<string, number>()

  /** What the names of the blocks begin with. @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`, `_INVALID_NAME` */
  next(used: unknown, options: UseOptions): string {
    if (!(used instanceof Group)) throw invalidArgument('what is used', 'a group', used)
    const { name } = checkOptions(`group "${used.name}"`, options, USE_OPTIONS)
    if (name !== undefined) return checkName(`use of group "${used.name}"`, name)
    const number = (this.#uses.get(used.name) ?? 0) + 1
    this.#uses.set(used.name, number)
    return `${used.name}${number}`
  }
}

/** Adds to `host` by names that begin with `prefix`. */
class UsedGroup implements GroupHost {
  readonly #host: GroupHost
  readonly #prefix: string
  readonly #groups = new GroupNames()
  readonly #names = new Set<string>()

  constructor(host: GroupHost, prefix: string) {
    this.#host = host
    this.#prefix = prefix
  }

  add<B extends Block>(block: B, options: FlowBlockOptions<Taken<B>> = {}): B {
    const { name = nameAmong(block, (taken) => this.#names.has(taken)) } = checkOptions(
      `block "${block.name}"`,
      options,
      FLOW_BLOCK_OPTIONS,
    )
    this.#names.add(name)
    return this.#host.add(block, { ...options, name: `${this.#prefix}.${name}` })
  }

  link<T>(from: OutputPort<T>, to: InputPort<T>, options: FlowLinkOptions = {}): this {
    this.#host.link(from, to, options)
    return this
  }

  use<P extends object, R>(used: Group<P, R>, parameters: P, options: UseOptions = {}): R {
    return used.build(this.#host, `${this.#prefix}.${this.#groups.next(used, options)}`, parameters)
  }
}

/** What `block` is called unless somebody says: by its own name, or by its class and a number that is free. */
export function nameAmong(block: Block, isTaken: (name: string) => boolean): string {
  const own = block.name
  if (own !== block.constructor.name) return own
  for (let number = 1; ; number++) if (!isTaken(`${own}${number}`)) return `${own}${number}`
}
