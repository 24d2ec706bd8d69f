import type { Size } from '../../check.js'
import { checkSize } from '../../check.js'
import { MAX_CLASS_BYTES, MAX_MAX_BYTES, MIN_BUFFER_BYTES } from '../../native/generated/limits.js'
import type { Block } from '../block/block.js'
import { NativeBlock } from '../native/native-block.js'
import type { FlowFault } from './fault.js'
import { flowSchemaOf } from './structure.js'
import type { WellFormed } from './well-formed.js'

/** Options of processes that no block is in. */
export function processFaults({ blocks, processes = {} }: WellFormed): FlowFault[] {
  const unknown = Object.keys(processes).filter((name) => !blocks.some(({ process }) => process === name))
  return unknown.map((name) => ({ message: `no block is in process "${name}"`, path: ['processes', name] }))
}

/** Blocks on threads that their scheduler has not. */
export function threadFaults({ blocks, scheduler: { threads = Infinity } = {} }: WellFormed): FlowFault[] {
  return blocks.flatMap(({ name, thread = 0 }, at) => {
    if (thread < threads) return []
    const message = `thread of block "${name}" is ${thread}, must be below ${threads}, the threads of the scheduler`
    return [{ message, path: ['blocks', at, 'thread'], block: name }]
  })
}

/** Blocks whose messages no buffer of a domain of `maxBytes` can hold. */
export function sizeFaults(blocks: readonly (Block | undefined)[], maxBytes: Size | undefined): FlowFault[] {
  if (maxBytes === undefined) return []
  const most = checkSize('maxBytes', maxBytes, 0, MAX_MAX_BYTES)
  return blocks.flatMap((block, at) => {
    if (!(block instanceof NativeBlock)) return []
    const { kind, settings, name } = block
    const sizes = Object.entries(settings).filter(([setting]) => isSize(kind, setting)) as [string, number][]
    return sizes
      .filter(([, size]) => bufferBytes(size) > most)
      .map(([setting, size]) => {
        const message = `${setting} of block "${name}" is ${size}: its messages need buffers of ${bufferBytes(size)} bytes, and maxBytes of the domain is ${most}`
        return { message, path: ['blocks', at, 'settings', setting], block: name }
      })
  })
}

/** Whether a setting is the size of a message. */
function isSize(kind: string, setting: string): boolean {
  return flowSchemaOf().$defs[kind]?.properties?.[setting]?.$ref === '#/$defs/size'
}

/** What a message takes at least, as pools have it. */
function bufferBytes(size: number): number {
  return size > MAX_CLASS_BYTES ? size : Math.max(MIN_BUFFER_BYTES, 2 ** Math.ceil(Math.log2(size)))
}
