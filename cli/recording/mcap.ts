// The library for MCAP files, which is bundled, and loaded only by who records or replays.
import { createRequire } from 'node:module'
import type * as Mcap from '@mcap/core'

// By this name: tools that trace what a program needs know it.
const require = createRequire(import.meta.url)

/** What of it is bundled. */
export type Library = Pick<typeof Mcap, 'McapRecordBuilder' | 'McapStreamReader'>

export type { McapRecordBuilder, McapTypes } from '@mcap/core'

export function loadMcap(): Library {
  return require('#mcap') as Library
}

/** What a recording says of itself: profile of the file, and name of its metadata. */
export const PROFILE = 'millrace'
/** Behind the name of the queue or topic: the channel that has what a message says beside its bytes. */
export const HEADERS = '#header'
