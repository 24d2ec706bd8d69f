import type { MillraceError } from '../../errors.js'
import { invalidArgument, misuse } from '../../errors.js'
import type { PortOwner } from './port.js'
import { InputPort, OutputPort } from './port.js'
import type { BlockStats } from './stats.js'
import { notStarted } from './stats.js'

/** What runs blocks. */
export interface BlockHost {
  /** Whether it has been started. */
  readonly started: boolean
  /** What has been counted of the block of that name; undefined: nothing yet. */
  statsOf(name: string): BlockStats | undefined
}

/** Borne by the blocks of all copies of this package in a process (ESM and CommonJS). */
const BRAND = Symbol.for('millrace.block')

/** A step of a flow, with input and output ports. */
export abstract class Block implements PortOwner {
  readonly #inputs: InputPort<never>[] = []
  readonly #outputs: OutputPort[] = []
  #host: BlockHost | undefined
  #name: string | undefined

  static {
    Object.defineProperty(this.prototype, BRAND, { value: true })
  }

  /** @param name its name, unless it is added under another one; left out: that of its class and a number */
  constructor(name?: string) {
    this.#name = name
  }

  /** Its name in its scheduler or flow; before it is added to one, its own, or the name of its class. */
  get name(): string {
    return this.#name ?? this.constructor.name
  }

  /** Whether its scheduler has been started. */
  get started(): boolean {
    return this.#host?.started === true
  }

  /** Its inputs, in the order in which they were declared. */
  get inputs(): readonly InputPort<never>[] {
    return this.#inputs
  }

  /** Its outputs, in the order in which they were declared. */
  get outputs(): readonly OutputPort[] {
    return this.#outputs
  }

  /** What has been counted of it so far. */
  stats(): BlockStats {
    return this.#host?.statsOf(this.name) ?? notStarted(this.name)
  }

  /** Declares an input. To be called by the constructor of a subclass. */
  protected input<T>(name: string): InputPort<T> {
    return this.addInput(new InputPort<T>(this, name))
  }

  /** Declares an output. To be called by the constructor of a subclass. */
  protected output<T>(name: string): OutputPort<T> {
    return this.addOutput(new OutputPort<T>(this, name))
  }

  /** @internal */
  protected addInput<P extends InputPort<never>>(port: P): P {
    this.#inputs.push(port)
    return port
  }

  /** @internal */
  protected addOutput<P extends OutputPort>(port: P): P {
    this.#outputs.push(port)
    return port
  }

  /** @internal What it is called until it is added under a name. */
  rename(name: string): void {
    this.#name = name
  }

  /** @internal From now on `host` runs it, as `name`. */
  join(host: BlockHost, name: string): void {
    if (this.#host !== undefined) {
      const message = `block ${JSON.stringify(this.name)} has been added to a scheduler already: make another one`
      throw misuse(message)
    }
    this.#host = host
    this.#name = name
  }
}

/** @internal `value`, which must be `rule`, is no block of this copy of the package, and none of its ports. */
export function notOurs(what: string, rule: string, value: unknown): MillraceError {
  const owner = (value as { owner?: unknown } | null | undefined)?.owner ?? value
  if (typeof owner !== 'object' || owner === null || !(BRAND in owner) || owner instanceof Block) {
    return invalidArgument(what, rule, value)
  }
  const { name } = owner as unknown as Block
  const message = `${what} is of block "${name}" of another copy of millrace, of which one was loaded by import and one by require: use the same for the blocks and for what runs them`
  return misuse(message)
}
