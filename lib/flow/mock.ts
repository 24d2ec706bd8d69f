import { AssertionError } from 'node:assert'
import { Buffer } from 'node:buffer'
import { randomInt } from 'node:crypto'
import { inspect, isDeepStrictEqual } from 'node:util'
import type { OptionNames } from '../check.js'
import { checkInteger, checkOptions, checkTimeout } from '../check.js'
import type { ShmManager } from '../domain/manager.js'
import { MillraceError, misuse, show } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import type { Block } from './block/block.js'
import { VirtualClock } from './block/clock.js'
import { Flow } from './flow.js'
import { JsInput, JsOutput } from './block/js-port.js'
import type { FlowBlockOptions } from './block/options.js'
import type { InputPort, OutputPort } from './block/port.js'
import { endsWithin } from './block/stall-watch.js'
import { sink } from './js/sink.js'
import { source } from './js/source.js'
import type { BlockStats } from './block/stats.js'
import type { PortType, TypeInfo } from './block/type.js'
import { buffers, bytes } from './block/type.js'

/** Options of {@link mock}. */
export interface MockOptions extends Pick<FlowBlockOptions, 'onError'> {
  /** What the choices of the scheduler of a native block depend on. Default: a new one each time, which failures tell. */
  seed?: number
}

/** What {@link Mock.run} takes. */
export interface MockRunOptions {
  /** When a source is to end, in ms of its own time: that passes only when nothing else is to be done, and then at once. Default: never. */
  time?: number
  /** How long the run may take, in ms; then `ERR_MILLRACE_TIMEOUT`. Default: 10 000. */
  timeout?: number
}

const MOCK_OPTIONS: OptionNames<MockOptions> = { onError: true, seed: true }
const RUN_OPTIONS: OptionNames<MockRunOptions> = { time: true, timeout: true }
const TIMEOUT_MS = 10_000
let mocks = 0

/** A block that is to be tested alone. Made by {@link mock}. */
export class Mock<B extends Block = Block> {
  readonly #block: B
  readonly #shm: ShmManager
  readonly #options: MockOptions
  readonly #pushed = new Map<InputPort<never>, unknown[]>()

  /** @internal */
  constructor(block: B, shm: ShmManager, options: MockOptions) {
    this.#block = block
    this.#shm = shm
    this.#options = checkOptions('mock', options, MOCK_OPTIONS)
  }

  /**
   * What comes at an input when it runs. Nothing comes at others.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`: the block has no such input
   */
  push<T>(input: InputPort<T> | string, ...values: T[]): this {
    const port = portOf(this.#block, 'input', this.#block.inputs, input as InputPort<never> | string)
    this.#pushed.set(port, [...(this.#pushed.get(port) ?? []), ...values])
    return this
  }

  /**
   * Runs the block, once, until it has ended.
   * @throws what {@link Run.done} does, when it is awaited
   */
  run(options: MockRunOptions = {}): MockRun {
    return expectable(this.#run(options))
  }

  async #run(options: MockRunOptions): Promise<MockResult> {
    const { time = Infinity, timeout = TIMEOUT_MS } = checkOptions('run', options, RUN_OPTIONS)
    const { seed = randomInt(2 ** 32), ...rest } = this.#options
    const drain = () => void run.drain().catch(() => {})
    const clock = new VirtualClock(checkTimeout('time', time), drain)
    const f = new Flow(
      `mock-${process.pid}-${mocks++}`,
      this.#shm,
      { policy: 'single', seed: checkInteger('seed', seed, 0, 2 ** 32) },
      clock,
    )
    f.add(this.#block, rest)
    for (const port of this.#block.inputs) f.link(this.#feed(f, port), port)
    const outputs = new Map(this.#block.outputs.map((port) => [port, [] as unknown[]]))
    for (const [port, values] of outputs) f.link(port as OutputPort<never>, collect(f, port, values))
    const run = await f.start()
    if ((await endsWithin(run.done, checkTimeout('timeout', timeout))) !== true) {
      await run.stop()
      const message = `block "${this.#block.name}" did not end within ${timeout} ms (seed ${seed}): a source that goes on for ever ends after the option "time"`
      throw new MillraceError('ERR_MILLRACE_TIMEOUT', message)
    }
    const { blocks } = run.stats()
    const stats = blocks.find(({ name }) => name === this.#block.name)!
    return new MockResult(this.#block, stats, outputs, seed)
  }

  #feed(f: Flow, port: InputPort<never>): OutputPort<never> {
    const type = typeOf(port)
    const values = this.#pushed.get(port) ?? []
    const given = type === buffers ? () => values.map((value) => this.#bufferOf(value as Uint8Array)) : () => values
    return f.add(source(`to ${port.name}`, { out: type }, given)).out as unknown as OutputPort<never>
  }

  #bufferOf(content: Uint8Array): BufferPtr {
    const buffer = this.#shm.allocate(content.byteLength)
    buffer.bytes.set(content)
    return buffer
  }
}

/** A run of a block: when it has ended, its result. */
export interface MockRun extends Promise<MockResult> {
  /** As {@link MockResult.expect}, when it has ended. */
  expect<T>(output: OutputPort<T> | string, ...values: T[]): MockRun
}

/** What a block has done. */
export class MockResult {
  /** What has been counted of the block. */
  readonly stats: BlockStats
  /** With this the run can be repeated: {@link MockOptions.seed}. */
  readonly seed: number
  readonly #block: Block
  readonly #outputs: ReadonlyMap<OutputPort, readonly unknown[]>

  /** @internal */
  constructor(block: Block, stats: BlockStats, outputs: ReadonlyMap<OutputPort, readonly unknown[]>, seed: number) {
    this.#block = block
    this.#outputs = outputs
    this.stats = stats
    this.seed = seed
  }

  /** What has come out at an output, in order; copies of bytes, if it sends buffers, or the block is native. */
  output<T>(output: OutputPort<T> | string): T[] {
    const port = portOf<OutputPort>(this.#block, 'output', this.#block.outputs, output)
    return [...this.#outputs.get(port)!] as T[]
  }

  /**
   * Expects that exactly `values` have come out at an output, in order.
   * @throws `AssertionError` which names the port, the first value that differs, what was wanted and what came, and the seed
   */
  expect<T>(output: OutputPort<T> | string, ...values: T[]): this {
    const actual = this.output(output)
    const port = portOf<OutputPort>(this.#block, 'output', this.#block.outputs, output)
    const length = Math.max(actual.length, values.length)
    for (let at = 0; at < length; at++) {
      if (at < actual.length && at < values.length && isSame(actual[at], values[at])) continue
      const [wanted, got] = [shown(values, at), shown(actual, at)]
      const message = `${port.label}, value ${at}: wanted ${wanted}, got ${got} (seed ${this.seed})`
      throw new AssertionError({ message, actual, expected: values, operator: 'expect' })
    }
    return this
  }
}

/**
 * Runs a block alone, to test it: the real block, at real queues, which is given what is pushed, and whose outputs are collected. A native block runs
 * on a scheduler of the policy `single`; blocks of JavaScript that go by {@link BlockIo.clock} have a time of their own.
 * ```ts
 * await mock(map('double', number, number, (value) => value * 2), shm).push('in', 1, 2).run().expect('out', 2, 4)
 * ```
 * @param block one that is in no flow; it can be run once
 * @param shm of a domain of the test's own
 */
export function mock<B extends Block>(block: B, shm: ShmManager, options: MockOptions = {}): Mock<B> {
  return new Mock(block, shm, options)
}

function expectable(result: Promise<MockResult>): MockRun {
  const expect: MockRun['expect'] = (output, ...values) =>
    expectable(result.then((ended) => ended.expect(output, ...values)))
  return Object.assign(result, { expect })
}

function portOf<P extends InputPort<never> | OutputPort>(
  block: Block,
  side: string,
  ports: readonly P[],
  port: P | string,
): P {
  const found = ports.find((one) => one === port || one.name === port)
  if (found !== undefined) return found
  const names = ports.map(({ name }) => `"${name}"`).join(', ')
  const wanted = typeof port === 'string' ? show(port) : port.label
  throw misuse(`block "${block.name}" has no ${side} ${wanted}, but ${names === '' ? 'none' : names}`)
}

/** Native blocks take and send bytes. */
function typeOf(port: InputPort<never> | OutputPort): PortType<unknown> {
  const type: TypeInfo = port instanceof JsInput || port instanceof JsOutput ? port.type : bytes
  return type
}

function collect(f: Flow, port: OutputPort, values: unknown[]): InputPort<never> {
  const kept =
    typeOf(port) === buffers ? (value: unknown) => (value as BufferPtr).bytes.slice() : (value: unknown) => value
  const use = (batch: unknown[]) => void values.push(...batch.map(kept))
  return f.add(sink(`from ${port.name}`, typeOf(port), use)).in
}

/** Bytes are the same whatever kind of view shows them. */
function isSame(actual: unknown, wanted: unknown): boolean {
  if (!(actual instanceof Uint8Array) || !(wanted instanceof Uint8Array)) return isDeepStrictEqual(actual, wanted)
  return Buffer.compare(actual, wanted) === 0
}

function shown(values: readonly unknown[], at: number): string {
  return at < values.length ? inspect(values[at], { breakLength: Infinity }) : 'nothing'
}
