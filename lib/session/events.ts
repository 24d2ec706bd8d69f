import type { BindingManager } from '../native/native.js'
import type { ParticipantId } from './participant-id.js'

/** Somebody has joined the domain or left it. The addon tells more, which whoever tells it on knows. */
export interface DomainEvent extends ParticipantId {
  readonly change: 'joined' | 'closed' | 'exited' | 'died'
  readonly pid: number
  readonly name: string
  /** Events right before this one that were not taken in time. */
  missed: number
}

/** So many are kept, as the domain does. */
const KEPT = 256

/** The events of the domain. Each is taken from the addon once, whoever needs it: who is told of all, or who asks for one who has left. */
export class Events {
  readonly #call: <T>(operation: (native: BindingManager) => T) => T
  readonly #untold: DomainEvent[] = []
  readonly #left: DomainEvent[] = []

  constructor(call: <T>(operation: (native: BindingManager) => T) => T) {
    this.#call = call
  }

  /** Whether there is something that was taken and not told. */
  get waiting(): boolean {
    return this.#untold.length > 0
  }

  /** What nobody has been told of. */
  takeUntold(): DomainEvent[] {
    this.#take()
    return this.#untold.splice(0)
  }

  /** The last one that is known to have left of those that `isIt` is true of. */
  findLeft(isIt: (event: ParticipantId) => boolean): DomainEvent | undefined {
    this.#take()
    return this.#left.findLast(isIt)
  }

  #take(): void {
    const taken = JSON.parse(this.#call((native) => native.takeEvents())) as DomainEvent[]
    this.#untold.push(...taken)
    this.#left.push(...taken.filter(({ change }) => change !== 'joined'))
    this.#left.splice(0, this.#left.length - KEPT)
    // Nobody may ever listen.
    for (const { missed } of this.#untold.splice(0, this.#untold.length - KEPT)) this.#untold[0]!.missed += missed + 1
  }
}
