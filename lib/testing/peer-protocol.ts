// What a peer is told, and what it answers: plain data, sent as `structured clone` does.

/** Moments at which a peer can die: right after a step of what it was told, before anything else. */
export const MOMENTS = ['allocated', 'sent', 'received', 'released'] as const

/** A moment at which a peer can die; see {@link Peer.dieAt}. */
export type Moment = (typeof MOMENTS)[number]

/** @internal What the process of a peer is started with. */
export interface PeerArgs {
  domain: string
  directory: string
  name: string
}

/** @internal What a peer can be told to do, with arguments and result. */
export interface Commands {
  dieAt(moment: Moment, count: number): void
  hold(bytes: number, count: number): void
  send(queue: string, messages: Uint8Array[]): void
  take(queue: string, count: number): Uint8Array[]
  release(): number
  close(): void
  exit(code: number): void
}

/** @internal */
export type Command = { [C in keyof Commands]: { command: C; args: Parameters<Commands[C]> } }[keyof Commands]

/** @internal */
export type Answer = { result: unknown } | { error: Error; code: unknown }
