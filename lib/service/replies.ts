import { hasCode } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import { END, ERROR, ITEM, LOST, VALUE } from '../native/generated/envelope.js'
import { UNLIMITED } from '../session/limits.js'
import type { Endpoint } from './endpoint.js'
import type { Envelope } from './envelope.js'
import * as envelopes from './envelope.js'
import { encodeFailure } from './failure.js'
import { Mailboxes } from './mailboxes.js'
import { Payload } from './payload.js'
import type { Run } from './run.js'

/** A promise if it takes time. */
export type Sending = Promise<unknown> | undefined

const NOTHING = new Uint8Array()

/** What a server says to its clients. What nobody wants any more is not sent; what cannot be delivered aborts its run. */
export class Replies<Req, Res> {
  readonly #endpoint: Endpoint<Req, Res>
  readonly #failures: Payload<Uint8Array>
  readonly #clients: Mailboxes

  constructor(endpoint: Endpoint<Req, Res>) {
    this.#endpoint = endpoint
    this.#failures = new Payload<Uint8Array>(endpoint.session, undefined)
    this.#clients = new Mailboxes(endpoint.session, endpoint.name, 'client')
  }

  value(run: Run, value: unknown): Sending {
    return this.#reply(run, VALUE, 0, this.#endpoint.replies, value)
  }

  item(run: Run, position: number, value: unknown): Sending {
    return this.#reply(run, ITEM, position, this.#endpoint.replies, value)
  }

  end(run: Run, position: number): Sending {
    return this.#reply(run, END, position, this.#failures, NOTHING)
  }

  /** Replies with what the handler threw, or says that this is more than can be sent. */
  failure(run: Run, thrown: unknown): Sending {
    try {
      return this.#reply(run, ERROR, 0, this.#failures, encodeFailure(thrown))
    } catch (error) {
      if (!hasCode(error, 'ERR_MILLRACE_TOO_LARGE')) throw error
      return this.#reply(run, ERROR, 0, this.#failures, encodeFailure(error))
    }
  }

  /** Tells a client that its request was begun, and will neither end nor be begun again. Waits for room as long as there is a client. */
  lost(envelope: Envelope, run: number, message: BufferPtr): Sending {
    // Its own buffer serves: it is not needed any more, and there may be no other. If the handler released it, one has come back.
    const reply = message.released ? this.#endpoint.allocator.allocate(0) : message
    this.#address(envelope, run, LOST, 0, reply)
    const sent = this.#clients.send(envelope, reply, { ...UNLIMITED, hold: false })
    return typeof sent === 'boolean' ? undefined : sent
  }

  #reply<T>(run: Run, kind: number, position: number, payload: Payload<T>, value: unknown): Sending {
    if (run.unwanted) {
      discard(value)
      return undefined
    }
    // Its own buffer may bear the reply, but not as long as somebody may have to run it again.
    const request = run.attempt > run.envelope.run ? run.message : undefined
    const packed = payload.tryPack(value, request)
    if (packed !== undefined) return this.#send(run, kind, position, packed)
    // The client waits for this, and whoever has the memory will give some back.
    run.heedDeadline()
    return payload.packLater(value, run.limits, request).then(
      (buffer) => this.#send(run, kind, position, buffer),
      (error: unknown) => {
        discard(value)
        if (!run.unwanted) throw error
      },
    )
  }

  #send(run: Run, kind: number, position: number, buffer: BufferPtr): Sending {
    this.#address(run.envelope, run.attempt, kind, position, buffer)
    const sent = this.#clients.send(run.envelope, buffer, run.limits)
    if (sent === true) return undefined
    if (sent === false) {
      run.abortUnreachable()
      return undefined
    }
    run.heedDeadline()
    return this.#delivered(run, sent)
  }

  async #delivered(run: Run, sent: Promise<boolean>): Promise<void> {
    if (!(await sent)) run.abortUnreachable()
  }

  #address({ call }: Envelope, run: number, kind: number, detail: number, buffer: BufferPtr): void {
    const { session, self } = this.#endpoint
    envelopes.write(session, buffer, self, kind, call, detail, run, 0)
  }
}
