import { checkInteger, checkText } from '../check.js'
import { misuse } from '../errors.js'

/** The name of a process that a flow starts; undefined: the one that starts the others. */
export type Place = string | undefined

/** Most replicas of a block. */
export const MAX_REPLICAS = 256

/** What blocks say when they name a process. */
interface Group {
  /** The first block that named it. */
  readonly block: string
  readonly replicas: number | undefined
}

/** Where the blocks of a flow run. */
export class Places {
  readonly #groups = new Map<string, Group>()
  /** Each process, by what blocks call it together with its siblings. */
  readonly #groupOf = new Map<string, string>()

  /** Every process but that of the flow. */
  get names(): readonly string[] {
    return [...this.#groupOf.keys()]
  }

  /** What blocks call the process, together with those that run other replicas of them. */
  groupOf(name: string): string {
    return this.#groupOf.get(name)!
  }

  /** Where `block` runs: once for each of its replicas. @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT` */
  add(block: string, process: string | undefined, replicas: number | undefined): readonly Place[] {
    if (replicas !== undefined) checkInteger(`replicas of block '${block}'`, replicas, 1, MAX_REPLICAS)
    if (process === undefined) return new Array<Place>(replicas ?? 1).fill(undefined)
    checkText(`process of block '${block}'`, process)
    const names = replicas === undefined ? [process] : Array.from({ length: replicas }, (_, at) => `${process}.${at}`)
    this.#check({ block, replicas }, process, names)
    this.#groups.set(process, { block, replicas })
    for (const name of names) this.#groupOf.set(name, process)
    return names
  }

  #check({ block, replicas }: Group, process: string, names: readonly string[]): void {
    const known = this.#groups.get(process)
    if (known !== undefined && known.replicas !== replicas) {
      const counts = [replicas, known.replicas].map((count) => count ?? 'none')
      const message = `blocks of one process have as many replicas: '${block}' in process '${process}' has ${counts[0]}, '${known.block}' ${counts[1]}`
      throw misuse(message)
    }
    const taken = names.find((name) => (this.#groupOf.get(name) ?? process) !== process)
    if (taken === undefined) return
    throw misuse(`process '${process}' of block '${block}' needs the name '${taken}', which another one has`)
  }
}
