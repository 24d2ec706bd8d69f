import type { ExecutionContext } from 'ava'
import { type ErrorCode, MillraceError } from '../../index.js'

/** `operation` throws a MillraceError of that code whose message contains every one of `words`. */
export function throwsCode(t: ExecutionContext, operation: () => unknown, code: ErrorCode, ...words: string[]): void {
  check(t, t.throws(operation, { instanceOf: MillraceError }), code, words)
}

/** `promise` rejects with a MillraceError of that code, which it returns, whose message contains every one of `words`. */
export async function rejectsCode(
  t: ExecutionContext,
  promise: Promise<unknown>,
  code: ErrorCode,
  ...words: string[]
): Promise<MillraceError> {
  const error = await t.throwsAsync(promise, { instanceOf: MillraceError })
  check(t, error, code, words)
  return error
}

function check(t: ExecutionContext, error: MillraceError, code: ErrorCode, words: string[]): void {
  t.is(error.code, code, error.message)
  for (const word of words) t.true(error.message.includes(word), `${JSON.stringify(error.message)} lacks ${word}`)
}
