/**
 * What a validator has to be: https://standardschema.dev, as zod, valibot and arktype are.
 * @typeParam T what it makes of a value
 */
export interface StandardSchema<T> {
  /** By the standard. */
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    validate(value: unknown): SchemaResult<T> | Promise<SchemaResult<T>>
    readonly types?: { readonly input: unknown; readonly output: T } | undefined
  }
}

/** What a validator says: the value, or what is wrong with it. */
export type SchemaResult<T> =
  { readonly value: T; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

/** What is wrong, and where in the value. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** @internal What is wrong, on one line. */
export function describeIssues(issues: readonly SchemaIssue[]): string {
  const texts = issues.map(({ message, path = [] }) => {
    const keys = path.map((step) => String(typeof step === 'object' ? step.key : step))
    return keys.length === 0 ? message : `${keys.join('.')}: ${message}`
  })
  return texts.join('; ')
}
