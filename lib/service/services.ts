import { invalidArgument } from '../errors.js'
import type { ShmManager } from '../domain/manager.js'
import { checkName, checkObject } from '../options.js'
import type { Session } from '../session/session.js'
import { Post } from './post.js'
import type { ServiceOptions } from './service.js'
import { MAX_SERVICE_NAME, Service } from './service.js'

/** The services of one manager. */
export class Services {
  readonly #shm: ShmManager
  readonly #session: Session
  readonly #open = new Map<string, Service<never, never>>()
  #post: Post | undefined

  constructor(shm: ShmManager, session: Session) {
    this.#shm = shm
    this.#session = session
  }

  open<Req, Res>(name: string, options: ServiceOptions<Req, Res>): Service<Req, Res> {
    checkName('service', name)
    if (name.length > MAX_SERVICE_NAME) {
      throw invalidArgument('service name', `at most ${MAX_SERVICE_NAME} characters long`, name)
    }
    checkObject('options', options)
    if (this.#open.has(name)) {
      throw invalidArgument('service name', 'one that this manager has not open already', name)
    }
    this.#post ??= new Post(this.#shm, this.#session)
    const service = new Service(this.#shm, this.#session, this.#post, name, options, () => this.#open.delete(name))
    this.#open.set(name, service as unknown as Service<never, never>)
    return service
  }

  /** Takes leave of clients and servers. Before the session is closed. */
  close(): void {
    for (const service of this.#open.values()) service.close()
    this.#post?.close()
  }
}
