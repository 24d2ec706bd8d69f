import type { Size } from '../check.js'
import { checkInteger, checkObject, checkSize } from '../check.js'
import { NativeBlock } from './block.js'

/** Settings of {@link NullSource}. */
export interface NullSourceOptions {
  /** Bytes of each message. Default: 0. */
  size?: Size
  /** Messages to send; then it ends. Default: no end. */
  count?: number
}

/** Settings of {@link NullSink}. */
export interface NullSinkOptions {
  /** Messages to take; then it ends, and leaves others to others. Default: as many as come. */
  count?: number
}

/** The largest buffer there is is smaller: the addon says so when it allocates. */
const MAX_SIZE = 2 ** 31 - 1

/** Sends messages numbered from 0, whose content is left as it is. */
export class NullSource extends NativeBlock {
  /** Where they are sent. */
  readonly out = this.output<Uint8Array>('out')

  constructor(options: NullSourceOptions = {}) {
    const { size = 0, count } = checkObject('options of NullSource', options)
    super('NullSource', {
      size: checkSize('size of NullSource', size, 0, MAX_SIZE),
      count: checkCount('NullSource', count),
    })
  }
}

/** Takes messages and lets go of them. */
export class NullSink extends NativeBlock {
  /** Where they are taken. */
  readonly in = this.input<unknown>('in')

  constructor(options: NullSinkOptions = {}) {
    const { count } = checkObject('options of NullSink', options)
    super('NullSink', { count: checkCount('NullSink', count) })
  }
}

function checkCount(block: string, count: number | undefined): number | undefined {
  return count === undefined ? undefined : checkInteger(`count of ${block}`, count, 0, Number.MAX_SAFE_INTEGER)
}
