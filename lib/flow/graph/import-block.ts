import { createRequire } from 'node:module'
import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { OptionNames } from '../../check.js'
import { checkOptions, checkText } from '../../check.js'
import { MillraceError, misuse } from '../../errors.js'
import { Block, notOurs } from '../block/block.js'
import { defined } from './defined.js'

/** A block of JavaScript by what makes it. */
export interface BlockModule {
  /** A path or URL, which may be relative, or a package. */
  module: string
  /** What the module exports: a function, or a class of blocks. It is called with the settings and the name. Default: `default`. */
  export?: string
  /** What that takes. Default: an object without properties. */
  settings?: Record<string, unknown>
}

/** Where modules are found. */
export interface ModuleOptions {
  /** Path or URL of the file that relative ones are relative to, such as `import.meta.url`. Default: the working directory. */
  base?: string | URL
  /** Modules that need not be imported, by what blocks call them: for programs that are bundled. */
  modules?: Readonly<Record<string, object>>
}

/** @internal */
export const MODULE_OPTIONS: OptionNames<ModuleOptions> = { base: true, modules: true }
const BLOCK_MODULE: OptionNames<BlockModule> = { module: true, export: true, settings: true }

/** Blocks that can be made again, and by what. */
const origins = new WeakMap<Block, BlockModule>()

/** Functions that have been imported, by what their modules call them. */
const exportNames = new WeakMap<object, string>()

/** What its module calls a function; undefined: a program has made it. */
export function exportNameOf(imported: object): string | undefined {
  return exportNames.get(imported)
}

/** What a block has been made by; undefined: by a program. */
export function moduleOf(block: Block): BlockModule | undefined {
  return origins.get(block)
}

/**
 * Makes a block of JavaScript by a function or class that a module exports, so that the flow it is added to can be written down.
 * @param name what the function gets beside the settings
 * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`, which names module and export: it cannot be imported, or makes no block
 */
export async function importBlock(name: string, from: BlockModule, options: ModuleOptions = {}): Promise<Block> {
  checkOptions(`module of block "${name}"`, from, BLOCK_MODULE)
  const { module, export: exported = 'default', settings = {} } = from
  checkOptions('importBlock', options, MODULE_OPTIONS)
  const what = nameOf(name, module, exported)
  const block = await made(what, (await importFunction(name, module, exported, options)) as Maker, settings, name)
  if (!(block instanceof Block)) throw notOurs(`what ${what} makes`, 'a block, of map(), sink() …', block)
  origins.set(block, defined({ module, export: from.export, settings: from.settings }))
  return block
}

/** A function, or a class, that the module of block `name` exports. @throws as {@link importBlock} */
export async function importFunction(
  name: string,
  module: string,
  exported: string,
  { base, modules }: ModuleOptions,
): Promise<(...args: never[]) => unknown> {
  checkText(`module of block "${name}"`, module)
  const loaded = (modules?.[module] ?? (await load(name, module, base))) as Record<string, unknown>
  const found = exported in loaded ? loaded[exported] : undefined
  if (typeof found !== 'function') {
    const names = Object.keys(loaded).map((one) => `"${one}"`)
    const message = `${nameOf(name, module, exported)} must be a function or a class; the module exports ${names.join(', ') || 'nothing'}`
    throw misuse(message)
  }
  exportNames.set(found, exported)
  return found as (...args: never[]) => unknown
}

function nameOf(name: string, module: string, exported: string): string {
  return `export "${exported}" of module "${module}" of block "${name}"`
}

type Maker = ((settings: object, name: string) => unknown) & { readonly prototype?: unknown }

async function made(what: string, make: Maker, settings: object, name: string): Promise<unknown> {
  try {
    if (make.prototype instanceof Block)
      return new (make as unknown as new (...args: unknown[]) => Block)(settings, name)
    return await make(settings, name)
  } catch (error) {
    throw failure(`${what} failed`, error)
  }
}

async function load(name: string, module: string, base: string | URL | undefined): Promise<object> {
  try {
    // Bundlers know nothing of it: there is `modules` for them.
    return (await import(/* webpackIgnore: true */ /* @vite-ignore */ moduleUrl(module, base))) as object
  } catch (error) {
    throw failure(`module "${module}" of block "${name}" cannot be imported`, error)
  }
}

/** Where a module is: a path, a URL, or a package as `require` finds it from `base`. */
export function moduleUrl(module: string, base: string | URL | undefined): string {
  const from = baseUrl(base)
  if (isAbsolute(module)) return pathToFileURL(module).href
  if (/^\.{1,2}\/|^\w{2,}:/.test(module)) return new URL(module, from).href
  return pathToFileURL(createRequire(from).resolve(module)).href
}

function baseUrl(base: string | URL | undefined): URL {
  if (base instanceof URL || (base !== undefined && /^\w{2,}:/.test(base))) return new URL(base)
  return pathToFileURL(base ?? `${process.cwd()}/`)
}

function failure(what: string, error: unknown): MillraceError {
  const text = error instanceof Error ? error.message : String(error)
  return new MillraceError('ERR_MILLRACE_INVALID_ARGUMENT', `${what}: ${text}`, { cause: error })
}
