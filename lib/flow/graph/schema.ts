// The JSON Schema of a flow as data, from the limits and words that options are checked against. The build adds the settings of native
// blocks, publishes it, and makes the validator of it. Options that an interface has and this has not do not compile.
import { MAX_TIMEOUT_MS, NAME, SIZE } from '../../check.js'
import { BATCH_MAX } from '../../native/generated/block.js'
import { MAX_MAX_BYTES, MAX_NAME_BYTES, MAX_QUEUE_CAPACITY, MIN_MAX_BYTES } from '../../native/generated/limits.js'
import { DELIVERIES, OVERFLOWS } from '../../native/words.js'
import type { BackoffOptions } from '../process/child-options.js'
import { RESTARTS, STDIOS } from '../process/child-options.js'
import type { SchedulerOptions } from '../block/options.js'
import { ACTIONS, MAX_RETRIES, MAX_THREADS, ON_PEER_LOST, POLICIES, PRIORITIES } from '../block/options.js'
import { MAX_REPLICAS } from '../wiring/places.js'
import type { BlockData, DomainData, FlowData, LinkData, OnErrorData, ProcessData } from './data.js'
import { FLOW_VERSION } from './data.js'

type Schema = Readonly<Record<string, unknown>>
/** A schema for each property. */
type Properties<T> = Record<keyof T, Schema>

const number = (limits: { minimum: number; maximum?: number }) => ({ type: 'number', ...limits })
const whole = (minimum: number, maximum: number) => ({ type: 'integer', minimum, maximum })
const list = (items: Schema) => ({ type: 'array', items })
const named = (additionalProperties: Schema) => ({ type: 'object', additionalProperties })
const object = (properties: Record<string, Schema>, required: string[] = []) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
})
// oxlint-disable-next-line unicorn/no-thenable -- a word of JSON Schema
const whether = (condition: Schema, met: Schema, other: Schema | true) => ({ if: condition, then: met, else: other })
const about = (description: string, schema: Schema): Schema => ({ description, ...schema })

const FLAG = { type: 'boolean' }
const TEXT = { type: 'string', minLength: 1 }
const WORD = { type: 'string', pattern: NAME.source, maxLength: MAX_NAME_BYTES }
const TIME = number({ minimum: 0, maximum: MAX_TIMEOUT_MS })
const COUNT = whole(0, Number.MAX_SAFE_INTEGER)

const domain: Properties<DomainData> = {
  name: about('Name of the domain. Default: that of the flow.', WORD),
  maxBytes: about('Bytes that its buffers may take, if this is the first to open the domain.', {
    $ref: '#/$defs/size',
    minimum: MIN_MAX_BYTES,
    maximum: MAX_MAX_BYTES,
  }),
}

const scheduler: Properties<SchedulerOptions> = {
  threads: about(
    'Threads that run native blocks. Default: as many as the machine runs at once.',
    whole(1, MAX_THREADS),
  ),
  policy: about('Which thread runs which block. Default: work-stealing.', { enum: POLICIES }),
  seed: about('With policy single: what the choice among blocks depends on. Default: 0.', COUNT),
  slice: about('How long a block runs before others get their turn. In ms. Default: 0.2.', TIME),
  stallTimeout: about(
    'How long a call of the work of a block may take. In ms. Default: without end.',
    number({ minimum: 1, maximum: MAX_TIMEOUT_MS }),
  ),
}

const onError: Properties<OnErrorData> = {
  retries: about('How often a message is tried again. Default: 0.', whole(0, MAX_RETRIES)),
  backoff: about('How long before the first of these, and twice as long before each other. In ms. Default: 0.', TIME),
  action: about('What becomes of it after that. Default: fail.', { enum: ACTIONS }),
  deadLetters: about('Name of a queue, in place of action, that it goes to after that. It must exist.', WORD),
}

const block: Properties<BlockData> = {
  name: about('Its name, unique in the flow.', TEXT),
  class: about('Class of a native block.', TEXT),
  module: about('Module that makes a block of JavaScript: a path or URL, or a package.', TEXT),
  export: about('Function or class that the module exports; it gets settings and name. Default: default.', TEXT),
  closure: about('Class of a block that a program has made itself: nothing can be made of it.', TEXT),
  settings: about('Settings of the block.', { type: 'object' }),
  process: about('The process that runs it. Default: that of the flow.', TEXT),
  worker: about('The worker thread that runs it; true: one of its own. Default: false.', {
    ...TEXT,
    type: ['boolean', 'string'],
  }),
  replicas: about('How many of it there are, if it is of JavaScript. Default: it is alone.', whole(1, MAX_REPLICAS)),
  partitionBy: about('With replicas: a function that the module exports, which says the key of a value.', TEXT),
  batch: about('Most messages that it takes at once, if it is of JavaScript.', whole(1, BATCH_MAX)),
  onError: about(
    'What becomes of a message that it fails with. Default: fail.',
    whether({ type: 'string' }, { enum: ACTIONS }, object(onError)),
  ),
  priority: about('Which native blocks run first. Default: normal.', { enum: PRIORITIES }),
  thread: about('With policy pinned: the thread that runs it.', whole(0, MAX_THREADS - 1)),
  inputs: about('Queues outside of the flow that its inputs are connected to.', named(WORD)),
  outputs: about('Queues outside of the flow that its outputs are connected to.', named(list(WORD))),
}

const link: Properties<LinkData> = {
  from: about('The output, as block.port.', TEXT),
  to: about('The input, as block.port.', TEXT),
  capacity: about('Messages it holds, rounded up to a power of two. Default: 1024.', whole(1, MAX_QUEUE_CAPACITY)),
  overflow: about('What becomes of a message that finds it full. Default: block.', { enum: OVERFLOWS }),
  delivery: about('What becomes of messages whose receiver dies. Default: at-most-once.', { enum: DELIVERIES }),
  name: about('Name of its queue, unless it lies between native blocks only.', WORD),
  onPeerLost: about('What becomes of it when the process behind it dies. Default: block.', { enum: ON_PEER_LOST }),
  feedback: about('It leads back to a block before it: one link of each circle. Default: false.', FLAG),
}

const backoff: Properties<BackoffOptions> = {
  initial: about('Before the first restart. In ms. Default: 100.', TIME),
  factor: about(
    'What the wait is multiplied by for each restart within the window. Default: 2.',
    number({ minimum: 1 }),
  ),
  max: about('The longest wait. In ms. Default: 10000.', TIME),
  jitter: about('The share of the wait that is left to chance. Default: 0.1.', number({ minimum: 0, maximum: 1 })),
}

const process: Properties<ProcessData> = {
  module: about('Its program: a path or URL. Default: that of the process that starts it.', TEXT),
  args: about('Arguments of the program.', list({ type: 'string' })),
  execArgv: about('Arguments of Node.js. Default: those of the process that starts it.', list({ type: 'string' })),
  env: about('Variables of its environment beside those of the process that starts it.', named({ type: 'string' })),
  restart: about('When it is started again. Default: on-failure.', { enum: RESTARTS }),
  max: about('Restarts within the window. Default: 5.', COUNT),
  window: about('The time in which restarts are counted; null: without end. In ms. Default: 60000.', {
    ...TIME,
    type: ['number', 'null'],
  }),
  backoff: about('How long to wait before a restart.', object(backoff)),
  startTimeout: about('Time until it is ready; then it is killed. In ms. Default: without end.', TIME),
  stallTimeout: about('Time without progress; then it is killed. In ms. Default: without end.', TIME),
  stopTimeout: about('Time to end; then it is killed. In ms. Default: 10000.', TIME),
  stdio: about('Where its output goes. Default: inherit; pipe, if the flow has a block of logs.', { enum: STDIOS }),
  detached: about('It goes on without the process that has started it. Default: false.', FLAG),
}

/** A native block: its class decides what settings it has. */
function settingsOf(name: string, settings: Schema): Schema {
  const { required } = settings as { required: string[] }
  return whether(
    { properties: { class: { const: name } }, required: ['class'] },
    { properties: { settings: { $ref: `#/$defs/${name}` } }, required: required.length > 0 ? ['settings'] : [] },
    true,
  )
}

const flow = (blocks: Schema): Properties<FlowData> => ({
  millrace: about('The version of this form.', { const: FLOW_VERSION }),
  name: about('Name of the flow.', WORD),
  domain: about('Where `millrace flow run` runs it.', object(domain)),
  scheduler: about('Options of the scheduler of its native blocks.', object(scheduler)),
  blocks: about('Its blocks.', { ...list(blocks), minItems: 1 }),
  links: about('Its links.', list(object(link, ['from', 'to']))),
  processes: about('How its other processes are started, by the names that blocks give them.', named(object(process))),
})

/**
 * The schema of {@link FlowData}.
 * @param native those of the settings of native blocks, by class
 */
export function flowSchema(native: Readonly<Record<string, Schema>>): Schema {
  const blocks = {
    ...object({ ...block, class: { ...block.class, enum: Object.keys(native) } }, ['name']),
    oneOf: ['class', 'module', 'closure'].map((maker) => ({ required: [maker] })),
    dependentRequired: {
      ...Object.fromEntries(['export', 'worker', 'replicas', 'batch'].map((name) => [name, ['module']])),
      partitionBy: ['module', 'replicas'],
    },
    allOf: Object.entries(native).map(([name, settings]) => settingsOf(name, settings)),
  }
  const size = about("A number of bytes, or a text such as '512MiB'.", {
    type: ['integer', 'string'],
    pattern: SIZE.source,
  })
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: `urn:millrace:flow:${FLOW_VERSION}`,
    title: 'A flow of Millrace',
    ...object(flow(blocks), ['millrace', 'name', 'blocks']),
    $defs: { size, ...native },
  }
}
