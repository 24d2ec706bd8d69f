import { MillraceError } from '../errors.js'

/**
 * What `wait` comes to. An error of ours that a timer made, which has no caller, says who waits: to look is free until it happens, while
 * to remember the caller of every wait costs as much as the wait.
 */
export async function fromCaller<T>(wait: Promise<T>): Promise<T> {
  try {
    return await wait
  } catch (error) {
    if (error instanceof MillraceError) Error.captureStackTrace(error, fromCaller)
    throw error
  }
}
