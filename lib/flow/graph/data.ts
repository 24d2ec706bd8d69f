import type { Size } from '../../check.js'
import type { ChildOptions } from '../process/child-options.js'
import type {
  FailureAction,
  FlowBlockOptions,
  FlowLinkOptions,
  OnErrorOptions,
  SchedulerOptions,
} from '../block/options.js'

/** The version of this form of a flow. */
export const FLOW_VERSION = 1

/** A flow as plain data: what {@link Flow.toJSON} makes, {@link Flow.fromJSON} takes, and a file holds as YAML or JSON. */
export interface FlowData {
  /** The version of this form. */
  millrace: typeof FLOW_VERSION
  /** Name of the flow. */
  name: string
  /** Where `millrace flow run` runs it; a program that makes a flow of this has a manager. */
  domain?: DomainData
  /** Options of the scheduler of its native blocks. */
  scheduler?: SchedulerOptions
  /** Its blocks. */
  blocks: BlockData[]
  /** Its links. */
  links?: LinkData[]
  /** How its other processes are started, by the names that blocks give them. */
  processes?: Record<string, ProcessData>
}

/** Where a flow runs. */
export interface DomainData {
  /** Name of the domain. Default: that of the flow. */
  name?: string
  /** Bytes that its buffers may take, if it is the first to open the domain; as `ShmManager.open`. */
  maxBytes?: Size
}

/** A block of a flow: a native one, by `class`, or one of JavaScript, by `module`. */
export interface BlockData extends Omit<FlowBlockOptions, 'onError' | 'partitionBy'> {
  /** Its name, unique in the flow. */
  name: string
  /** Class of a native block. */
  class?: string
  /** Module that makes a block of JavaScript: a path or URL, which may be relative to the file, or a package. */
  module?: string
  /** What the module exports: a function, or a class of blocks. It is called with the settings and the name. Default: `default`. */
  export?: string
  /** Class of a block that a program has made itself: it is shown, and nothing can be made of it. */
  closure?: string
  /** With `replicas`: a function that the module exports, in place of `partitionBy`: the key of a value. */
  partitionBy?: string
  /** Settings of the block. */
  settings?: Record<string, unknown>
  /** What becomes of a message that it fails with. Default: `fail`. */
  onError?: FailureAction | OnErrorData
  /** Queues outside of the flow that its inputs are connected to. */
  inputs?: Record<string, string>
  /** Queues outside of the flow that its outputs are connected to. */
  outputs?: Record<string, string[]>
}

/** What becomes of a message that the work of a block fails with. */
export interface OnErrorData extends Omit<OnErrorOptions, 'deadLetters'> {
  /** Name of a queue, in place of `action`, that it goes to. It must exist. */
  deadLetters?: string
}

/** A link of a flow. Ports are `block.port`. */
export interface LinkData extends FlowLinkOptions {
  /** The output. */
  from: string
  /** The input. */
  to: string
}

/** Options of a process of a flow. */
export interface ProcessData extends Omit<Partial<ChildOptions>, 'module' | 'env' | 'window'> {
  /** Its program; a path or URL, which may be relative to the file. Default: that of this process. */
  module?: string
  /** Variables of its environment beside those of this process. */
  env?: Record<string, string>
  /** The time in which restarts are counted, in ms; null: without end. */
  window?: number | null
}
