import { createRequire } from 'node:module'
import { nameRule } from '../../check.js'
import { show } from '../../errors.js'
import { MAX_NAME_BYTES } from '../../native/generated/limits.js'
import type { FlowFault } from './fault.js'

// By this name: tools that trace what a program needs know it.
const require = createRequire(import.meta.url)

/** A part of the schema, as far as messages say what it wants. */
export interface Schema {
  readonly [keyword: string]: unknown
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly string[]
  readonly const?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly minItems?: number
  readonly pattern?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | false
  readonly items?: Schema
  readonly then?: Schema
  readonly else?: Schema
}

/** What the validator has found, as ajv says it. */
interface Violation {
  readonly instancePath: string
  readonly schemaPath: string
  readonly keyword: string
  readonly params: Readonly<Record<string, unknown>>
}

interface Validator {
  (data: unknown): boolean
  readonly errors?: readonly Violation[] | null
}

/** The schema that is published. */
export function flowSchemaOf(): Schema & { readonly $defs: Readonly<Record<string, Schema>> } {
  return require('#flow-schema') as Schema & { $defs: Record<string, Schema> }
}

/** What is wrong with the structure of `data`: one fault a place. */
export function structureFaults(data: unknown): FlowFault[] {
  const { default: isValid } = require('#flow-validator') as { default: Validator }
  if (isValid(data)) return []
  const faults = new Map<string, FlowFault>()
  for (const violation of isValid.errors ?? []) {
    const path = pathOf(violation.instancePath, data)
    const fault = faultOf(violation, path, data)
    const place = JSON.stringify(fault?.path)
    if (fault !== undefined && !faults.has(place)) faults.set(place, fault)
  }
  return [...faults.values()]
}

function faultOf(
  { keyword, schemaPath, params }: Violation,
  path: (string | number)[],
  data: unknown,
): FlowFault | undefined {
  // These say that another one is there, too.
  if (keyword === 'if' || schemaPath.includes('/oneOf/')) return undefined
  const what = whatIs(path, data)
  const found = (message: string, at = path): FlowFault => ({ message, path: at, ...blockOf(path, data) })
  switch (keyword) {
    case 'oneOf':
      return found(`${what} must have one of "class", "module" and "closure"`)
    case 'required':
    case 'dependentRequired': {
      const missing = String(params['missingProperty'])
      return { ...found(`${what} lacks "${missing}"`), path: [...path, missing] }
    }
    case 'additionalProperties': {
      const unknown = String(params['additionalProperty'])
      const names = Object.keys(schemaAt(path, data)?.properties ?? {}).map((name) => `"${name}"`)
      return found(`${what} has no "${unknown}"; it can have ${names.join(', ') || 'nothing'}`, [...path, unknown])
    }
    default:
      return found(`${what} must be ${ruleOf(schemaAt(path, data))}, not ${show(valueAt(path, data))}`)
  }
}

/** What a place in the data is called. */
function whatIs(path: readonly (string | number)[], data: unknown): string {
  const [list, at, ...rest] = path
  if (list === undefined) return 'the flow'
  if (at === undefined) return String(list)
  const { name, from, to } = (valueAt([list, at], data) ?? {}) as Record<string, unknown>
  const what = () => {
    if (list === 'blocks') return typeof name === 'string' ? `block "${name}"` : `blocks[${at}]`
    if (list === 'links')
      return typeof from === 'string' && typeof to === 'string' ? `link ${from} → ${to}` : `links[${at}]`
    return list === 'processes' ? `process "${at}"` : `${list}.${at}`
  }
  return rest.length === 0 ? what() : `${rest.join('.')} of ${what()}`
}

function blockOf([list, at]: readonly (string | number)[], data: unknown): Pick<FlowFault, 'block'> {
  const name = list === 'blocks' && at !== undefined ? valueAt([list, at, 'name'], data) : undefined
  return typeof name === 'string' ? { block: name } : {}
}

/** The schema of a place in the data. */
function schemaAt(path: readonly (string | number)[], data: unknown): Schema | undefined {
  const { $defs, ...root } = flowSchemaOf()
  let schema: Schema | undefined = root
  path.forEach((key, at) => {
    const kind = key === 'settings' ? valueAt([...path.slice(0, at), 'class'], data) : undefined
    const own = schema?.properties?.[key] ?? schema?.else?.properties?.[key]
    const other = typeof key === 'number' ? schema?.items : schema?.additionalProperties || undefined
    schema = typeof kind === 'string' ? $defs[kind] : (own ?? other)
  })
  const { $ref } = schema ?? {}
  return $ref === undefined ? schema : { ...$defs[$ref.slice('#/$defs/'.length)], ...schema }
}

/** What a value must be. */
function ruleOf({ then, const: only, enum: words, type = 'object', ...schema }: Schema = {}): string {
  if (then !== undefined) return `${ruleOf(then)}, or an object`
  if (only !== undefined) return show(only)
  if (words !== undefined) return `one of ${words.map(show).join(', ')}`
  const { minimum, maximum, pattern, minLength, minItems } = schema
  const limits = `${minimum === undefined ? '' : ` from ${minimum}`}${maximum === undefined ? '' : ` to ${maximum}`}`
  const some = minLength === undefined && minItems === undefined ? '' : ' that is not empty'
  const rules: Record<string, string> = {
    'integer,string': `a number of bytes${limits}, or text such as "512MiB"`,
    integer: `a whole number${limits}`,
    number: `a number${limits}`,
    'number,null': `a number${limits}, or null`,
    boolean: 'true or false',
    array: `a list${some}`,
    string: pattern === undefined ? `a text${some}` : `a name: ${nameRule(MAX_NAME_BYTES)}`,
    object: 'an object',
  }
  return rules[String(type)]!
}

/** `/blocks/0/name` as keys. */
function pathOf(pointer: string, data: unknown): (string | number)[] {
  const path: (string | number)[] = []
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
    path.push(Array.isArray(valueAt(path, data)) ? Number(key) : key)
  }
  return path
}

function valueAt(path: readonly (string | number)[], data: unknown): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string | number, unknown> | undefined)?.[key], data)
}
