/**
 * What a validator has to be: https://standardschema.dev, as zod, valibot and arktype are.
 * @typeParam T what it makes of a value
 */
export interface StandardSchema<T> {
  /** By the standard. */
  readonly '~standard': {
    /** Of the standard. */
    readonly version: 1
    /** Who has made the validator. */
    readonly vendor: string
    /** Looks at a value. */
    validate(value: unknown): SchemaResult<T> | Promise<SchemaResult<T>>
    /** For the compiler. */
    readonly types?:
      | {
          /** What it takes. */
          readonly input: unknown
          /** What it makes of that. */
          readonly output: T
        }
      | undefined
  }
}

/** What a validator says: the value, or what is wrong with it. */
export type SchemaResult<T> =
  | {
      /** What it has made of the value. */
      readonly value: T
      /** Nothing is wrong. */
      readonly issues?: undefined
    }
  | {
      /** What is wrong. */
      readonly issues: readonly SchemaIssue[]
    }

/** What is wrong, and where in the value. */
export interface SchemaIssue {
  /** What is wrong. */
  readonly message: string
  /** The keys that lead there. */
  readonly path?: readonly (PropertyKey | SchemaStep)[] | undefined
}

/** One of the keys that lead to a place in a value. */
export interface SchemaStep {
  /** The key. */
  readonly key: PropertyKey
}

/** @internal What is wrong, on one line. */
export function describeIssues(issues: readonly SchemaIssue[]): string {
  const texts = issues.map(({ message, path = [] }) => {
    const keys = path.map((step) => String(typeof step === 'object' ? step.key : step))
    return keys.length === 0 ? message : `${keys.join('.')}: ${message}`
  })
  return texts.join('; ')
}
