// What the tool says about itself.
import { type Command, COMMON_OPTIONS, type Option, usageOf } from './command.js'

/** All commands, a line and an explanation each. */
export function help(commands: readonly Command[]): string {
  const lines = commands.map((command) => `  millrace ${usageOf(command)}\n      ${command.summary}`)
  return [
    'Usage:',
    ...lines,
    '',
    'Options of every command:',
    ...explained(COMMON_OPTIONS),
    '',
    '`millrace help <command>` explains one. Exit codes: 0 all is well, 1 something is off, 2 wrong usage, a file that is',
    'no flow, or the domain cannot be opened, 3 messages have been lost.',
  ].join('\n')
}

/** One command with its options. */
export function helpOf(command: Command): string {
  return [
    `Usage: millrace ${usageOf(command)}`,
    '',
    command.summary,
    '',
    'Options:',
    ...explained({ ...command.options, ...COMMON_OPTIONS }),
  ].join('\n')
}

/** The command whose name `words` begin with. */
export function find(commands: readonly Command[], words: readonly string[]): Command | undefined {
  return commands.find(({ name }) => name.split(' ').every((part, at) => part === words[at]))
}

function explained(options: Readonly<Record<string, Option>>): string[] {
  const heads = Object.entries(options).map(([name, { value }]) => (value === undefined ? name : `${name} ${value}`))
  const width = Math.max(...heads.map(({ length }) => length))
  return Object.values(options).map(({ summary }, at) => `  --${heads[at]!.padEnd(width)}  ${summary}`)
}
