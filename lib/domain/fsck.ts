/** What kind of disorder a {@link Finding} is. */
export type FindingKind =
  /** A segment cannot be read; what is in it has not been checked. */
  | 'segment'
  /** A participant's slot is in no valid state, or its ledger is not empty though nobody has the slot. */
  | 'participant'
  /** A queue's ring is none, or contradicts itself. */
  | 'queue'
  /** Something names a buffer that does not exist. */
  | 'unknown-buffer'
  /** A buffer is allocated, and nobody holds it. */
  | 'leaked'
  /** A buffer is free, and somebody holds it. */
  | 'held-while-free'
  /** The count of a buffer's holders is wrong. */
  | 'wrong-count'
  /** A ring slot is being taken while nobody is inside an operation, or is in no valid state. */
  | 'slot'
  /** A lease is half made, in no valid state, or of somebody who does not hold the message. */
  | 'lease'

/** One thing that is not as recorded. A correct domain has none, whoever has died in it. */
export interface Finding {
  /** What kind of disorder it is. */
  kind: FindingKind
  /** Buffer id, where it is about one. */
  buffer: number | null
  /** Slot of the participant, where it is about one. */
  participant: number | null
  /** Name of the queue, where it is about one that can be found. */
  queue: string | null
  /** Holders, messages or references that were counted, where it is about a count. */
  counted: number | null
  /** What the record says instead. */
  recorded: number | null
  /** What is wrong, in words. */
  message: string
}

/** Options of {@link ShmManager.fsck}. */
export interface FsckOptions {
  /** How long to try to bring the domain to rest, in ms. Default: 10 000. */
  timeout?: number
}
