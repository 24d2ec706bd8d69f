import { checkInteger, checkText } from '../../check.js'
import { misuse } from '../../errors.js'

/** The name of a process, or a worker thread, that a flow starts; undefined: the process that starts them. */
export type Place = string | undefined

/** Most replicas of a block. */
export const MAX_REPLICAS = 256

/** What a block runs in. */
export type PlaceKind = 'process' | 'worker'

/** What blocks say of where they run. */
export interface Placing {
  readonly process?: string
  readonly worker?: boolean | string
  readonly replicas?: number
}

/** What blocks say when they name a process, or a worker thread. */
interface Group {
  readonly kind: PlaceKind
  /** The first block that named it. */
  readonly block: string
  readonly replicas: number | undefined
}

/** Where the blocks of a flow run. */
export class Places {
  readonly #groups = new Map<string, Group>()
  /** Each process, by what blocks call it together with its siblings. */
  readonly #groupOf = new Map<string, string>()

  /** What blocks call the process, together with those that run other replicas of them. */
  groupOf(name: string): string {
    return this.#groupOf.get(name)!
  }

  /** Whether it is a process or a worker thread. */
  kindOf(name: string): PlaceKind {
    return this.#groups.get(this.groupOf(name))!.kind
  }

  /** Where `block` runs: once for each of its replicas. @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT` */
  add(block: string, { process, worker = false, replicas }: Placing): readonly Place[] {
    if (replicas !== undefined) checkInteger(`replicas of block "${block}"`, replicas, 1, MAX_REPLICAS)
    if (process !== undefined) checkText(`process of block "${block}"`, process)
    if (typeof worker !== 'boolean') checkText(`worker of block "${block}"`, worker)
    if (process !== undefined && worker !== false) {
      throw misuse(`block "${block}" runs in a process or in a worker thread: give it "process" or "worker"`)
    }
    const name = process ?? (worker === true ? block : worker)
    if (name === false) return new Array<Place>(replicas ?? 1).fill(undefined)
    const names = replicas === undefined ? [name] : Array.from({ length: replicas }, (_, at) => `${name}.${at}`)
    const group: Group = { kind: process === undefined ? 'worker' : 'process', block, replicas }
    this.#check(group, name, names)
    this.#groups.set(name, group)
    for (const one of names) this.#groupOf.set(one, name)
    return names
  }

  #check({ kind, block, replicas }: Group, name: string, names: readonly string[]): void {
    const known = this.#groups.get(name)
    if (known !== undefined && known.kind !== kind) {
      const message = `"${name}" is the ${known.kind} of block "${known.block}", and the ${kind} of block "${block}": give them different names`
      throw misuse(message)
    }
    if (known !== undefined && known.replicas !== replicas) {
      const counts = [replicas, known.replicas].map((count) => count ?? 'none')
      const message = `blocks of one ${kind} have as many replicas: "${block}" in ${kind} "${name}" has ${counts[0]}, "${known.block}" ${counts[1]}`
      throw misuse(message)
    }
    const taken = names.find((one) => (this.#groupOf.get(one) ?? name) !== name)
    if (taken === undefined) return
    throw misuse(`${kind} "${name}" of block "${block}" needs the name "${taken}", which another one has`)
  }
}
