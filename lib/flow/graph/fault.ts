import { MillraceError } from '../../errors.js'

/** What is wrong with a flow as data. */
export interface FlowFault {
  /** What is wrong, with the names of block and port. */
  message: string
  /** The keys that lead to it in the data. */
  path: (string | number)[]
  /** Name of the block. */
  block?: string
  /** The port, as `block.port`. */
  port?: string
  /** Where it is in the text, if it is of a text; from 1. */
  line?: number
  /** Column of that line, from 1. */
  column?: number
}

/** One error for all that is wrong with flow `name`, a line each. */
export function faultsError(name: unknown, faults: readonly FlowFault[]): MillraceError {
  const what = typeof name === 'string' ? `flow "${name}"` : 'the flow'
  const lines = faults.map((fault) => `\n  ${describeFault(fault)}`)
  const message = `${what} has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:${lines.join('')}`
  return new MillraceError('ERR_MILLRACE_INVALID_ARGUMENT', message)
}

/** A fault on one line, with its place in the text. */
export function describeFault({ message, line, column }: FlowFault): string {
  return line === undefined ? message : `${line}:${column}: ${message}`
}
