#!/usr/bin/env node
// `millrace <command> …`: finds the command, runs it, turns what it returns into an exit code.
import { MillraceError } from '../index.js'
import { type Command, UsageError } from './command.js'
import { flowGraph } from './commands/flow-graph.js'
import { flowRun } from './commands/flow-run.js'
import { flowValidate } from './commands/flow-validate.js'
import { fsck } from './commands/fsck.js'

/** Every command; one file each. */
const COMMANDS: readonly Command[] = [flowRun, flowValidate, flowGraph, fsck]

/** Wrong usage, a file that is no flow, or the domain cannot be opened. */
const EXIT_TROUBLE = 2

function usage(): string {
  const lines = COMMANDS.map(({ usage: text, summary }) => `  millrace ${text}\n      ${summary}`)
  return [
    'Usage:',
    ...lines,
    '',
    'Options of commands:',
    '  --directory <path>  directory that holds domains, instead of MILLRACE_DIR or the system’s',
    '  --json              the result as JSON',
    '',
    'Exit codes: 0 all is well, 1 something is off, 2 wrong usage, a file that is no flow, or the domain cannot be',
    'opened, 3 messages have been lost.',
  ].join('\n')
}

async function main(words: string[]): Promise<number> {
  const [name] = words
  if (name === '--help' || name === '-h' || name === 'help') {
    console.log(usage())
    return 0
  }
  const command = COMMANDS.find((each) => each.name.split(' ').every((word, at) => word === words[at]))
  if (command === undefined) {
    console.error(
      `${name === undefined ? 'a command is missing' : `unknown command ${JSON.stringify(unknown(words))}`}\n\n${usage()}`,
    )
    return EXIT_TROUBLE
  }
  try {
    return await command.run(words.slice(command.name.split(' ').length))
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

/** The words that name no command: two, if the first begins the names of some. */
function unknown([name, next]: string[]): string {
  return next !== undefined && COMMANDS.some((each) => each.name.startsWith(`${name} `)) ? `${name} ${next}` : `${name}`
}

process.exitCode = await main(process.argv.slice(2))
