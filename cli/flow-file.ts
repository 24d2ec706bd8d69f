// What the commands of flows share: the file, and faults as they are told.
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import type { FlowFault } from '../flow.js'
import { UsageError } from './command.js'

/** A flow as it lies in a file. */
export interface FlowFile {
  readonly path: string
  readonly text: string
  /** What modules are relative to. */
  readonly base: URL
}

/** Reads the file at `path`. */
export function readFlowFile(path: string): FlowFile {
  try {
    return { path, text: readFileSync(path, 'utf8'), base: pathToFileURL(path) }
  } catch (error) {
    throw new UsageError(`cannot read ${JSON.stringify(path)}: ${(error as Error).message}`)
  }
}

/** Faults as editors and compilers tell them, a line each. */
export function toldFaults(path: string, faults: readonly FlowFault[]): string {
  return faults.map(({ line, column, message }) => `${path}:${line}:${column}: ${message}`).join('\n')
}
