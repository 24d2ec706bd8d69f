#!/usr/bin/env node
// `millrace <command> …`: finds the command, runs it, turns what it returns into an exit code.
import { MillraceError } from '../index.js'
import { type Command, UsageError } from './command.js'
import { fsck } from './commands/fsck.js'

/** Every command; one file each. */
const COMMANDS: readonly Command[] = [fsck]

/** Wrong usage, or the domain cannot be opened. */
const EXIT_TROUBLE = 2

function usage(): string {
  const width = Math.max(...COMMANDS.map(({ usage: text }) => text.length))
  const lines = COMMANDS.map(({ usage: text, summary }) => `  millrace ${text.padEnd(width)}  ${summary}`)
  return [
    'Usage:',
    ...lines,
    '',
    'Options of every command:',
    '  --directory <path>  directory that holds domains, instead of MILLRACE_DIR or the system’s',
    '  --json              the result as JSON',
    '',
    'Exit codes: 0 all is well, 1 something is off, 2 wrong usage, or the domain cannot be opened.',
  ].join('\n')
}

async function main([name, ...args]: string[]): Promise<number> {
  if (name === '--help' || name === '-h' || name === 'help') {
    console.log(usage())
    return 0
  }
  const command = COMMANDS.find((each) => each.name === name)
  if (command === undefined) {
    console.error(
      `${name === undefined ? 'a command is missing' : `unknown command ${JSON.stringify(name)}`}\n\n${usage()}`,
    )
    return EXIT_TROUBLE
  }
  try {
    return await command.run(args)
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\n\nUsage: millrace ${command.usage}`)
      return EXIT_TROUBLE
    }
    if (error instanceof MillraceError) {
      console.error(`${error.code}: ${error.message}`)
      return EXIT_TROUBLE
    }
    throw error
  }
}

process.exitCode = await main(process.argv.slice(2))
