import type { ChildProcess } from 'node:child_process'

/**
 * Sends a signal to a process that this one has started, unless it has ended. Not by its own `kill()`: Deno takes what that has sent for how
 * the process has ended, sends nothing more, and ends the channel.
 */
export function sendSignal({ pid, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid !== undefined && exitCode === null && signalCode === null) signalUnlessGone(pid, signal)
}

/** Sends a signal to a process, if it is there. */
export function signalUnlessGone(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
