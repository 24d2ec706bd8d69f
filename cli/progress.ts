// That something takes its time is shown on a terminal, on standard error: what the command prints stays as it is.
import { plural } from './units.js'

/** Messages that are dealt with before others have their turn: signals, and whatever shows how far this is. */
export const BATCH = 256

const SECOND = 1000
const LINE_AGAIN = '\r\u001b[K'

/** Something that may take its time. */
export interface Work<T> {
  /** How far it is. */
  readonly progress: () => string
  readonly done: Promise<T>
}

/** Does `work`; from its second second on a line says that, how far it is, and how long it has taken. It goes when the work ends. */
export async function withProgress<T>(tell: () => string, work: Promise<T>): Promise<T> {
  if (!process.stderr.isTTY) return work
  let seconds = 0
  const timer = setInterval(() => {
    process.stderr.write(`${LINE_AGAIN}${tell()}: ${plural(++seconds, 'second')}`)
  }, SECOND)
  try {
    return await work
  } finally {
    clearInterval(timer)
    if (seconds > 0) process.stderr.write(LINE_AGAIN)
  }
}
