import { invalidArgument, misuse } from '../errors.js'
import { codecOf } from './codec.js'
import type { StandardSchema } from './standard-schema.js'
import { describeIssues } from './standard-schema.js'
import type { Codec, CodecName } from './types.js'

/** `codec` for what `schema` makes of values of `what`. Others may use the same codec without it: it goes by the same name. */
export function validated<T>(what: string, codec: CodecName | Codec<T>, schema: StandardSchema<T>): Codec<T> {
  if (typeof schema?.['~standard']?.validate !== 'function') {
    throw invalidArgument(`the schema of ${what}`, 'a validator by the Standard Schema', schema)
  }
  const inner = codecOf<T>(codec)
  return {
    name: inner.name,
    encode: (value) => inner.encode(validate(what, schema, value)),
    decode: (bytes) => inner.decode(bytes),
  }
}

function validate<T>(what: string, schema: StandardSchema<T>, value: unknown): T {
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise)
    throw misuse(`the schema of ${what} validates asynchronously: put() cannot wait for it`)
  if (result.issues === undefined) return result.value
  throw misuse(`a value for ${what} is not what its schema asks for: ${describeIssues(result.issues)}`)
}
