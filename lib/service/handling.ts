import { isPromiseLike } from '../check.js'
import { misuse } from '../errors.js'
import { STREAM } from '../native/generated/envelope.js'
import type { Endpoint } from './endpoint.js'
import type { Replies, Sending } from './replies.js'
import type { RequestContext, Run } from './run.js'
import { abandon, isStream, sendStream } from './stream-run.js'

export type AnyHandler<Req> = (request: Req, context: RequestContext) => unknown

/** Whose runs are handled. */
export interface RunOwner {
  /** The last word of `run` has been sent, or nobody wants it. */
  onEnd(run: Run): void
  /** Not even that a run failed can be sent: it is not possible to go on. */
  onStuck(error: unknown): void
}

/** Runs requests by the handler, and sees to it that each is answered. */
export class Handling<Req, Res> {
  /** Requests whose handler threw. */
  failed = 0
  readonly #endpoint: Endpoint<Req, Res>
  readonly #handler: AnyHandler<Req>
  readonly #replies: Replies<Req, Res>
  readonly #owner: RunOwner

  constructor(endpoint: Endpoint<Req, Res>, handler: AnyHandler<Req>, replies: Replies<Req, Res>, owner: RunOwner) {
    this.#endpoint = endpoint
    this.#handler = handler
    this.#replies = replies
    this.#owner = owner
  }

  /** Calls the handler, and sees to it that its result is sent: at once if it is there at once. */
  call(run: Run): void {
    // Called as the function it is, not as a method of this object.
    const handler = this.#handler
    let replying: Sending
    try {
      replying = this.#reply(run, handler(this.#endpoint.requests.peek(run.message), run))
    } catch (thrown) {
      return this.#refuse(run, thrown)
    }
    if (replying === undefined) return this.#owner.onEnd(run)
    replying.then(
      () => this.#owner.onEnd(run),
      (thrown: unknown) => this.#refuse(run, thrown),
    )
  }

  #reply(run: Run, result: unknown): Sending {
    if (run.envelope.kind !== STREAM) {
      return isPromiseLike(result)
        ? Promise.resolve(result).then((value) => this.#replyWith(run, value))
        : this.#replyWith(run, result)
    }
    return sendStream(run, this.#endpoint.name, result, this.#replies)
  }

  #replyWith(run: Run, value: unknown): Sending {
    // Not every codec can express it.
    if (value === undefined) return this.#replies.end(run, 0)
    if (!isStream(value)) return this.#replies.value(run, value)
    run.rest = abandon(value)
    const { name } = this.#endpoint
    throw misuse(`service "${name}" replies with a stream: use stream()`)
  }

  /** Ends `run` with what was thrown. If not even that can be sent, serving ends. */
  #refuse(run: Run, thrown: unknown): void {
    if (!run.unwanted) this.failed++
    const lost = (error: unknown) => {
      this.#owner.onStuck(error)
      this.#owner.onEnd(run)
    }
    try {
      const sending = this.#replies.failure(run, thrown)
      if (sending === undefined) this.#owner.onEnd(run)
      else sending.then(() => this.#owner.onEnd(run), lost)
    } catch (error) {
      lost(error)
    }
  }
}
