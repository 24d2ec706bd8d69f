import { misuse } from '../../errors.js'
import type { OuterQueue, PortOwner } from './port.js'
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

  /** @internal */
  protected override connectTo(queue: OuterQueue): void {
    checkConnectable(this, queue)
    super.connectTo(queue)
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

  /** @internal */
  protected override connectTo(queue: OuterQueue): void {
    checkConnectable(this, queue)
    super.connectTo(queue)
  }
}

/** What to give a port whose values are to go anywhere, as messages say it. */
export const WITH_CODEC = "a type with a codec, such as type('json') or type('msgpack')"

/** Whether values are handed over at `port` as they are, by reference. */
export function isByReference(port: InputPort<never> | OutputPort): boolean {
  return (port instanceof JsInput || port instanceof JsOutput) && port.type.encoding === undefined
}

function checkConnectable(port: InputPort<never> | OutputPort, { name }: OuterQueue): void {
  if (!isByReference(port)) return
  const message = `${port.label} hands over objects by reference and cannot be connected to queue "${name}": give it ${WITH_CODEC}`
  throw misuse(message)
}
