import type { FlowFault } from './fault.js'

/** A link as it is told, with the blocks at its ends. */
export interface Step {
  /** Its number in the data. */
  readonly at: number
  readonly label: string
  readonly from: string
  readonly to: string
  readonly isFeedback: boolean
}

/** Circles of links of which none says that it leads back, and links that say so and do not. */
export function circleFaults(steps: readonly Step[]): FlowFault[] {
  const faults: FlowFault[] = []
  let forward = steps.filter(({ isFeedback }) => !isFeedback)
  for (let circle = circleIn(forward); circle !== undefined; circle = circleIn(forward)) {
    const last = circle.at(-1)!
    const labels = circle.map(({ label }) => label).join(', ')
    const message = `links lead in a circle: ${labels}; mark the one that leads back by "feedback: true"`
    faults.push({ message, path: ['links', last.at], block: last.to })
    forward = forward.filter((step) => step !== last)
  }
  for (const { at, label, from, to, isFeedback } of steps) {
    if (!isFeedback || reaches(steps, to, from)) continue
    const message = `link ${label} is marked as feedback, and nothing leads from "${to}" to "${from}"`
    faults.push({ message, path: ['links', at, 'feedback'], block: to })
  }
  return faults
}

/** Steps that lead back to where they began, the one that was given last at the end; undefined: there are none. */
function circleIn(steps: readonly Step[]): Step[] | undefined {
  const left = withSteps(steps)
  // Of what is left every block has a step to it, so one can go back until a block comes a second time.
  const way: Step[] = []
  for (let step = left[0]; step !== undefined; step = left.find(({ to }) => to === way[0]!.from)) {
    const { from } = step
    way.unshift(step)
    const end = way.findIndex(({ to }) => to === from)
    if (end < 0) continue
    const circle = way.slice(0, end + 1)
    const last = circle.reduce((a, b) => (a.at > b.at ? a : b))
    const first = circle.indexOf(last) + 1
    return [...circle.slice(first), ...circle.slice(0, first)]
  }
  return undefined
}

/** Those that do not begin at a block which no step of a circle leads to (Kahn, Communications of the ACM 5, 1962). */
function withSteps(steps: readonly Step[]): Step[] {
  const before = new Map<string, number>()
  const after = new Map<string, Step[]>()
  for (const step of steps) {
    before.set(step.to, (before.get(step.to) ?? 0) + 1)
    after.set(step.from, [...(after.get(step.from) ?? []), step])
  }
  const ready = [...after.keys()].filter((name) => !before.has(name))
  for (let name = ready.pop(); name !== undefined; name = ready.pop()) {
    for (const { to } of after.get(name) ?? []) {
      before.set(to, before.get(to)! - 1)
      if (before.get(to) === 0) ready.push(to)
    }
    after.delete(name)
  }
  return [...after.values()].flat()
}

/** Whether steps lead from one block to another. */
function reaches(steps: readonly Step[], from: string, to: string): boolean {
  const reached = new Set([from])
  // A set grows while it is gone through.
  for (const name of reached) for (const step of steps) if (step.from === name) reached.add(step.to)
  return reached.has(to)
}
