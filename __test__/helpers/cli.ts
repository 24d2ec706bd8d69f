// The command line tool, in a process of its own.
import { type ChildProcess, execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The program. */
export const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url))

/** How it has ended, and what it has said. */
export interface Outcome {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** One that runs. */
export interface Running {
  readonly process: ChildProcess
  readonly ended: Promise<Outcome>
}

/** Starts it. */
export function startMillrace(...args: string[]): Running {
  return start(process.execPath, [MAIN, ...args])
}

/** Runs it by another program, which ends as it does. */
export function millraceBy([program, ...own]: readonly string[], ...args: string[]): Promise<Outcome> {
  return start(program!, [...own, process.execPath, MAIN, ...args]).ended
}

function start(program: string, args: string[]): Running {
  let end!: (outcome: Outcome) => void
  const ended = new Promise<Outcome>((resolve) => (end = resolve))
  const child = execFile(program, args, (_, stdout, stderr) => {
    end({ code: child.exitCode, signal: child.signalCode, stdout, stderr })
  })
  return { process: child, ended }
}

/** Runs it. */
export function millrace(...args: string[]): Promise<Outcome> {
  return startMillrace(...args).ended
}
