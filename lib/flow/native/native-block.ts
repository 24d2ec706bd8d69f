import { checkObject, checkSize } from '../../check.js'
import { callNative, invalidArgument } from '../../errors.js'
import { describeBlock } from '../../native/native.js'
import { Block } from '../block/block.js'
import type { InputPort, OutputPort } from '../block/port.js'

/** A block that threads of the addon run. */
export abstract class NativeBlock extends Block {
  /** @internal What the addon calls it. */
  readonly kind: string
  /** @internal What it is made with; what is left out has its default. */
  readonly settings: Readonly<Record<string, boolean | number | string>>

  /** @internal `sizes`: the settings that may be texts such as `'1KiB'`. */
  constructor(kind: string, options: object, sizes: readonly string[]) {
    super()
    const given = Object.entries(checkObject(`options of ${kind}`, options)).filter(([, value]) => value !== undefined)
    const checked = given.map(([name, value]) => {
      const what = `setting ${name} of ${kind}`
      return [name, sizes.includes(name) ? checkSize(what, value, 0, Number.MAX_SAFE_INTEGER) : checkValue(what, value)]
    })
    this.kind = kind
    this.settings = Object.fromEntries(checked) as Record<string, boolean | number | string>
    const { inputs, outputs } = callNative(() => describeBlock(kind, this.settings))
    for (const name of inputs) this.input(name)
    for (const name of outputs) this.output(name)
  }

  /** @internal */
  protected inputAt<T>(name: string): InputPort<T> {
    return this.inputs.find((port) => port.name === name)! as InputPort<T>
  }

  /** @internal Those whose names begin so. */
  protected inputsAt<T>(prefix: string): readonly InputPort<T>[] {
    return this.inputs.filter((port) => port.name.startsWith(prefix)) as InputPort<T>[]
  }

  /** @internal */
  protected outputAt<T>(name: string): OutputPort<T> {
    return this.outputs.find((port) => port.name === name)! as OutputPort<T>
  }

  /** @internal Those whose names begin so. */
  protected outputsAt<T>(prefix: string): readonly OutputPort<T>[] {
    return this.outputs.filter((port) => port.name.startsWith(prefix)) as OutputPort<T>[]
  }
}

function checkValue(what: string, value: unknown): boolean | number | string {
  if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string') return value
  throw invalidArgument(what, 'a number, a text, or true or false', value)
}
