import { invalidArgument } from '../errors.js'
import type { SharedBufferAllocator } from '../memory/allocator.js'
import { checkName, checkOptions } from '../check.js'
import type { Session } from '../session/session.js'
import type { ServiceOptions } from './options.js'
import { SERVICE_OPTIONS } from './options.js'
import { Service } from './service.js'

/** The services of one manager. */
export class Services {
  readonly #session: Session
  readonly #allocator: SharedBufferAllocator
  readonly #slot: number
  readonly #open = new Map<string, Service<never, never>>()

  constructor(session: Session, allocator: SharedBufferAllocator, slot: number) {
    this.#session = session
    this.#allocator = allocator
    this.#slot = slot
  }

  open<Req, Res>(name: string, options: ServiceOptions<Req, Res>): Service<Req, Res> {
    checkName('service', name)
    checkOptions(`service "${name}"`, options, SERVICE_OPTIONS)
    if (this.#open.has(name)) {
      throw invalidArgument('service name', 'one that this manager has not open already', name)
    }
    const onClose = () => this.#open.delete(name)
    const service = new Service(this.#session, this.#allocator, this.#slot, name, options, onClose)
    this.#session.waits.hearDepartures(() => this.#check())
    this.#open.set(name, service as unknown as Service<never, never>)
    return service
  }

  /** Takes leave of clients and servers. Before the session is closed. */
  close(): void {
    for (const service of this.#open.values()) service.close()
  }

  #check(): void {
    for (const service of this.#open.values()) service.check()
  }
}
