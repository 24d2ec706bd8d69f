import { misuse } from '../../errors.js'
import type { Block } from '../block/block.js'
import * as native from '../generated/blocks.js'
import type { NativeBlock } from '../native/native-block.js'
import type { BlockData } from './data.js'
import { defined } from './defined.js'
import type { BlockModule, ModuleOptions } from './import-block.js'
import { importBlock } from './import-block.js'

/** Native blocks by their classes; the schema knows which there are. */
const CLASSES: Readonly<Record<string, unknown>> = native

/**
 * Makes a block of data whose structure is right.
 * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`, which names the block
 */
export async function makeBlock(data: BlockData, options: ModuleOptions): Promise<Block> {
  const { name, module, export: exported, closure, settings } = data
  if (closure !== undefined) {
    const message = `block "${name}" is code of the program that has made it (${closure}): give it by "module" and "export"`
    throw misuse(message)
  }
  if (module !== undefined) {
    const from = defined<BlockModule>({ module, export: exported, settings })
    return importBlock(name, from, defined<ModuleOptions>({ base: options.base, modules: options.modules }))
  }
  const Native = CLASSES[data.class!] as new (settings: object) => NativeBlock
  return new Native(settings ?? {})
}
