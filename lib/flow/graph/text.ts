import { createRequire } from 'node:module'
import type * as Yaml from 'yaml'
import { checkText } from '../../check.js'
import type { FlowData } from './data.js'
import type { FlowFault } from './fault.js'
import { faultsError } from './fault.js'

// By this name: tools that trace what a program needs know it.
const require = createRequire(import.meta.url)

/** Loads the library when the first text is read or written. */
function yaml(): typeof Yaml {
  return require('#yaml') as typeof Yaml
}

/** Where something is in a text, from 1. */
type Place = Pick<FlowFault, 'line' | 'column'>

/** The text of a flow, YAML 1.2 or JSON, which is YAML. */
export class FlowText {
  /** What it says, unless it has faults. */
  readonly data: unknown
  /** What is wrong with it as YAML. */
  readonly faults: readonly FlowFault[]
  readonly #document: Yaml.Document.Parsed
  readonly #lines: Yaml.LineCounter

  constructor(text: string) {
    const { LineCounter, parseDocument } = yaml()
    this.#lines = new LineCounter()
    this.#document = parseDocument(checkText('the text of a flow', text), {
      lineCounter: this.#lines,
      prettyErrors: false,
    })
    const { errors, warnings } = this.#document
    this.faults = [...errors, ...warnings].map(({ message, pos }) => this.#fault(message, pos[0]))
    if (this.faults.length > 0) return
    try {
      this.data = this.#document.toJS()
    } catch (error) {
      // An alias without anchor, or so many that they stand for more than a flow can be.
      this.faults = [this.#fault((error as Error).message, 0)]
    }
  }

  /** A fault with the place of what its path leads to: the key, if it has one. */
  place(fault: FlowFault): FlowFault {
    return { ...fault, ...this.#placeOf(fault.path) }
  }

  #fault(message: string, offset: number): FlowFault {
    return { message: `the text is no YAML: ${message}`, path: [], ...this.#placeAt(offset) }
  }

  /** Of what is not there, the place of what it should be in. */
  #placeOf(path: readonly (string | number)[]): Place {
    const [parent, key] = [this.#document.getIn(path.slice(0, -1), true), path.at(-1)]
    const { isMap, isNode, isScalar } = yaml()
    const pair = isMap(parent) ? parent.items.find((one) => isScalar(one.key) && one.key.value === key) : undefined
    const node = pair?.key ?? this.#document.getIn(path, true)
    if (isNode(node) && node.range) return this.#placeAt(node.range[0])
    return path.length === 0 ? this.#placeAt(0) : this.#placeOf(path.slice(0, -1))
  }

  #placeAt(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset)
    return { line, column: col }
  }
}

/**
 * Reads a flow written as YAML or JSON. Whether it is one, {@link validateFlow} says.
 * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`, with line and column: it is neither
 */
export function parseFlow(text: string): FlowData {
  const { data, faults } = new FlowText(text)
  if (faults.length > 0) throw faultsError(undefined, faults)
  return data as FlowData
}

/** Writes a flow as YAML. */
export function formatFlow(flow: FlowData | { toJSON(): FlowData }): string {
  return yaml().stringify(JSON.parse(JSON.stringify(flow)), { aliasDuplicateObjects: false, lineWidth: 0 })
}
