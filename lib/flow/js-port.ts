import type { PortOwner } from './port.js'
import { InputPort, OutputPort } from './port.js'
import type { TypeInfo } from './type.js'

/** An input of a block of JavaScript. */
export class JsInput<in T, V = unknown> extends InputPort<T> {
  /** What its messages are. */
  readonly type: TypeInfo<V>

  /** @internal */
  constructor(owner: PortOwner, name: string, type: TypeInfo<V>) {
    super(owner, name)
    this.type = type
  }
}

/** An output of a block of JavaScript. */
export class JsOutput<out T, V = unknown> extends OutputPort<T> {
  /** What its messages are. */
  readonly type: TypeInfo<V>

  /** @internal */
  constructor(owner: PortOwner, name: string, type: TypeInfo<V>) {
    super(owner, name)
    this.type = type
  }
}
