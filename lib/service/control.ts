import type { ParticipantId } from '../session/participant-id.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { CANCEL, CREDIT } from '../native/generated/envelope.js'
import { Cancel } from '../session/cancel.js'
import type { Limits } from '../session/limits.js'
import { UNLIMITED } from '../session/limits.js'
import type { Call } from './call.js'
import type { Endpoint } from './endpoint.js'
import * as envelopes from './envelope.js'
import { Mailboxes } from './mailboxes.js'
import type { Runner } from './request-state.js'

/** What a client says to servers that run its requests. If that fails, so does the call, unless it has ended. */
export class Control<Req, Res> {
  readonly #endpoint: Endpoint<Req, Res>
  readonly #servers: Mailboxes
  readonly #closing = new Cancel()
  readonly #limits: Limits = { ...UNLIMITED, cancel: this.#closing, hold: false }
  /** Servers as of the last look. */
  #known: ParticipantId[] = []

  constructor(endpoint: Endpoint<Req, Res>) {
    this.#endpoint = endpoint
    this.#servers = new Mailboxes(endpoint.session, endpoint.name, 'server')
  }

  /** The client takes items of its stream up to position `limit`. */
  credit(call: Call<Res>, server: ParticipantId, limit: number): void {
    this.#tell(call, server, CREDIT, limit)
  }

  /** Nobody wants what `runner` works at. */
  cancel(call: Call<Res>, { slot, epochLow }: Runner): void {
    const { session, name } = this.#endpoint
    const isIt = (server: ParticipantId) => server.slot === slot && (server.epoch & 0xffff) === epochLow
    let server = this.#known.find(isIt)
    if (server === undefined) {
      this.#known = session.call((open) => open.servers(name))
      server = this.#known.find(isIt)
    }
    if (server !== undefined) this.#tell(call, server, CANCEL, 0)
  }

  /** What has not been sent by now never will be. */
  close(): void {
    this.#closing.cancel()
    this.#servers.close()
  }

  #tell(call: Call<Res>, server: ParticipantId, kind: number, detail: number): void {
    const { session, allocator, self } = this.#endpoint
    const send = (message: BufferPtr) => {
      envelopes.write(session, message, self, kind, call.id, detail >>> 0, 0, 0)
      return this.#servers.send(server, message, this.#limits)
    }
    const fail = (error: unknown) => call.fail(error)
    try {
      const message = allocator.tryAllocate(0)
      const sending = message === null ? allocator.allocateWithin(0, this.#limits).then(send) : send(message)
      if (typeof sending !== 'boolean') sending.catch(fail)
    } catch (error) {
      fail(error)
    }
  }
}
