import type { FlowData } from './data.js'
import type { FlowFault } from './fault.js'
import { faultsError } from './fault.js'
import type { OptionNames } from '../../check.js'
import { checkOptions } from '../../check.js'
import { MODULE_OPTIONS } from './import-block.js'
import type { PlanOptions } from './plan.js'
import { FlowPlan } from './plan.js'
import { FlowText } from './text.js'

const PLAN_OPTIONS: OptionNames<PlanOptions> = { ...MODULE_OPTIONS, maxBytes: true }

/**
 * Looks for all that is wrong with a flow before it runs: its structure and its settings, names, ports that do not exist or are linked to
 * nothing, types that differ, circles of which no link is marked, messages that no buffer can hold, processes that no block is in. Blocks
 * are made for it, so modules are imported.
 * @param flow data, or its text as YAML or JSON; faults of a text have line and column
 */
export async function validateFlow(flow: FlowData | string, options: PlanOptions = {}): Promise<FlowFault[]> {
  return (await planOf(flow, options)).faults
}

/** Data without faults, and the blocks and links that it stands for. */
export interface SoundFlow {
  readonly data: FlowData
  readonly plan: FlowPlan
}

/** @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`, with all faults */
export async function soundFlow(flow: FlowData | string, options: PlanOptions): Promise<SoundFlow> {
  const { data, plan, faults } = await planOf(flow, options)
  if (plan === undefined || faults.length > 0) throw faultsError((data as Partial<FlowData> | null)?.name, faults)
  return { data: data as FlowData, plan }
}

async function planOf(
  flow: unknown,
  options: PlanOptions,
): Promise<{ data: unknown; plan?: FlowPlan; faults: FlowFault[] }> {
  checkOptions('a flow as data', options, PLAN_OPTIONS)
  if (typeof flow !== 'string') {
    const plan = await FlowPlan.of(flow, options)
    return { data: flow, plan, faults: plan.faults }
  }
  const text = new FlowText(flow)
  const { data } = text
  if (text.faults.length > 0) return { data, faults: [...text.faults] }
  const plan = await FlowPlan.of(data, options)
  const faults = plan.faults.map((fault) => text.place(fault))
  return { data, plan, faults: faults.toSorted((a, b) => a.line! - b.line! || a.column! - b.column!) }
}
