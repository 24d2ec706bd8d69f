#!/usr/bin/env node
// `millrace <command> …`: finds the command, runs it, turns what it returns into an exit code.
import { MillraceError } from '../index.js'
import { type Command, take, UsageError, usageOf } from './command.js'
import { COMMANDS } from './commands.js'
import { find, help, helpOf } from './help.js'

/** Wrong usage, a file that is no flow, or the domain cannot be opened. */
const EXIT_TROUBLE = 2

async function main(words: string[]): Promise<number> {
  const [name] = words
  if (name === '--help' || name === '-h' || (name === 'help' && words.length === 1)) return say(help(COMMANDS))
  const asked = name === 'help' ? words.slice(1) : words
  const command = find(COMMANDS, asked)
  if (command === undefined) {
    const what = name === undefined ? 'a command is missing' : `unknown command ${JSON.stringify(unknown(asked))}`
    console.error(`${what}\n\n${help(COMMANDS)}`)
    return EXIT_TROUBLE
  }
  const args = asked.slice(command.name.split(' ').length)
  return name === 'help' || args.includes('--help') ? say(helpOf(command)) : run(command, args)
}

async function run(command: Command, args: string[]): Promise<number> {
  try {
    return await command.run(take(command, args), COMMANDS)
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\n\nUsage: millrace ${usageOf(command)}`)
      return EXIT_TROUBLE
    }
    if (error instanceof MillraceError) {
      console.error(`${error.code}: ${error.message}`)
      return EXIT_TROUBLE
    }
    throw error
  }
}

function say(text: string): number {
  console.log(text)
  return 0
}

/** The words that name no command: two, if the first begins the names of some. */
function unknown([name, next]: string[]): string {
  return next !== undefined && COMMANDS.some((each) => each.name.startsWith(`${name} `)) ? `${name} ${next}` : `${name}`
}

// A reader that has read enough (`| head`) is no failure.
process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? 0 : EXIT_TROUBLE))
process.exitCode = await main(process.argv.slice(2))
