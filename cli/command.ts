// What every command shares: its shape, and how it takes its arguments.
import { parseArgs } from 'node:util'

/** A command of the command line tool. */
export interface Command {
  readonly name: string
  /** Name and arguments, as the help shows them. */
  readonly usage: string
  readonly summary: string
  /** Runs it; returns the exit code: 0 all is well, 1 something is off. */
  readonly run: (args: string[]) => number | Promise<number>
}

/** The arguments are wrong. */
export class UsageError extends Error {}

/** What the arguments say. */
export interface Arguments {
  positionals: string[]
  directory: string | undefined
  json: boolean
  /** Values of the command's own options. */
  values: Record<string, string | undefined>
}

/** Takes the arguments apart: `count` positional ones, the options of every command, and `own` ones, which have a value. */
export function take(args: string[], count: number, own: readonly string[] = []): Arguments {
  const known = {
    directory: { type: 'string' },
    json: { type: 'boolean', default: false },
    ...Object.fromEntries(own.map((name) => [name, { type: 'string' as const }])),
  } as const
  const { values, positionals } = parsed(() => parseArgs({ args, options: known, allowPositionals: true }))
  if (positionals.length !== count) throw new UsageError(`${count} arguments are needed, not ${positionals.length}`)
  const { directory, json, ...rest } = values
  return { positionals, directory, json, values: rest }
}

/** A number of milliseconds given as an option. */
export function milliseconds(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (text.trim() !== '' && value >= 0) return value
  throw new UsageError(`--${name} must be a number of milliseconds, not ${JSON.stringify(text)}`)
}

/** "1 queue", "2 queues". */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function parsed<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
