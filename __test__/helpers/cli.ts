// Programs in processes of their own: the command line tool, and others.
import { type ChildProcess, execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The program. */
export const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url))

/** What this runtime is told before a program: Deno asks for leave to load an addon. */
export const RUNTIME_FLAGS: readonly string[] = 'deno' in process.versions ? ['run', '--allow-all'] : []

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
  return startProgram(process.execPath, [MAIN, ...args])
}

/** Runs it by another program, which ends as it does. */
export function millraceBy([program, ...own]: readonly string[], ...args: string[]): Promise<Outcome> {
  return startProgram(program!, [...own, process.execPath, ...RUNTIME_FLAGS, MAIN, ...args]).ended
}

/** Starts any program. */
export function startProgram(program: string, args: readonly string[]): Running {
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
