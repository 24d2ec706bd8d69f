import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkBoolean, checkOptions, type OptionNames } from '../check.js'
import { ShmManager } from '../domain/manager.js'
import type { OpenOptions } from '../domain/options.js'
import { misuse } from '../errors.js'
import { type Held, LeakError } from './leak-error.js'
import { Peer } from './peer.js'
import { keepTraces, leftovers, removeLeftovers, type Trace, traceOf } from './traces.js'

/** Options of a {@link TestDomain}. */
export interface TestDomainOptions {
  /** Directory that the domain is made in. Default: one of its own, which is removed at the end. */
  directory?: string
  /**
   * Whether its managers follow their references, so that {@link TestDomain.close} tells those that nobody has released, with the stack that
   * took them. They are opened with {@link OpenOptions.guard} for that. Default: true.
   */
  track?: boolean
}

const TEST_DOMAIN_OPTIONS: OptionNames<TestDomainOptions> = { directory: true, track: true }

let domains = 0

/**
 * A domain for one test, which no other test can meet: name and directory are its own. At its end managers that are open are closed, peers are
 * killed, and it is an error if anything is left.
 */
export class TestDomain implements AsyncDisposable {
  /** Its name. */
  readonly name = `test-${process.pid}-${domains++}`
  /** Directory that it is in: what others open it with. */
  readonly directory: string
  readonly #isOwn: boolean
  readonly #track: boolean
  readonly #managers: ShmManager[] = []
  readonly #peers: Peer[] = []
  readonly #held: Held[] = []
  /** Keeps the process alive from the first peer on: its death is told by events, which keep nothing alive themselves. */
  #alive: NodeJS.Timeout | undefined
  #persists = false
  #closed = false

  /** @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT` */
  constructor(options: TestDomainOptions = {}) {
    const { directory, track = true } = checkOptions('TestDomain', options, TEST_DOMAIN_OPTIONS)
    checkBoolean('track', track)
    this.#track = track
    this.#isOwn = directory === undefined
    this.directory = directory ?? mkdtempSync(join(tmpdir(), 'millrace-'))
  }

  /** Opens a manager, which is one more participant. @throws `MillraceError` as `ShmManager.open`; `ERR_MILLRACE_CLOSED` */
  open(options: OpenOptions = {}): ShmManager {
    this.#checkOpen()
    const tracked = this.#track && { guard: true }
    const shm = ShmManager.open(this.name, { directory: this.directory, ...tracked, ...options })
    this.#persists ||= options.persist === true
    this.#managers.push(shm)
    if (this.#track) this.#follow(shm)
    return shm
  }

  /**
   * Starts a process that joins the domain, and does there what it is told. Waits until it has joined. From now on until
   * {@link TestDomain.close} this process stays alive.
   * @param name of the participant
   */
  async peer(name = `peer ${this.#peers.length}`): Promise<Peer> {
    this.#checkOpen()
    this.#alive ??= setInterval(() => {}, 2 ** 30)
    const peer = new Peer(this.name, this.directory, name)
    this.#peers.push(peer)
    return await peer.joined()
  }

  /**
   * Ends the test: kills its peers, closes its managers, looks what is left, and removes that. Idempotent.
   * @throws {@link LeakError} references that managers of this domain had not released when they were closed, or files and shared memory
   * that are left
   */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#alive)
    await Promise.all(this.#peers.map((peer) => peer.kill()))
    const open = this.#managers.filter((shm) => !shm.closed)
    const traces = open.map(traceOf)
    const letGo = keepTraces(traces)
    for (const shm of open) shm.close()
    const left = this.#persists ? [] : traces.flatMap(leftovers)
    this.#remove(traces)
    letGo()
    if (this.#held.length > 0 || left.length > 0) throw new LeakError(this.name, this.#held, left)
  }

  /** The same as {@link TestDomain.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Looks what `shm` holds when it is closed, while that is still there. */
  #follow(shm: ShmManager): void {
    const { participant, session } = shm
    session.beforeClose(() => {
      for (const { buffer, stack } of session.ownViews?.held() ?? []) this.#held.push({ participant, buffer, stack })
    })
  }

  #remove(traces: readonly Trace[]): void {
    traces.forEach(removeLeftovers)
    if (this.#isOwn) rmSync(this.directory, { recursive: true, force: true })
  }

  #checkOpen(): void {
    if (this.#closed) throw misuse(`test domain "${this.name}" is closed`)
  }
}
