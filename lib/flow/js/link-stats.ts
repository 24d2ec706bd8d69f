import type { OwnQueue } from './own-queue.js'
import type { LinkStats } from '../block/stats.js'

/** A link that a block of JavaScript is at, or that leads to another process. */
export interface OwnLink {
  /** The outputs that send to it. */
  readonly from: readonly string[]
  readonly to: string
  readonly own: OwnQueue
}

/**
 * The links of a flow: those that its scheduler has `counted`, which knows one end of a queue at most, and those of the flow itself with
 * both ends.
 */
export function linksOf(counted: readonly LinkStats[], links: readonly OwnLink[]): LinkStats[] {
  const halves = new Map(counted.filter(isHalf).map((link) => [link.queue, link]))
  const ours = links.flatMap(({ from, to, own }) => {
    const stats = halves.get(own.queue.name) ?? own.stats
    return stats === undefined ? [] : [{ ...stats, from: [...from], to }]
  })
  const whole = new Set(ours.map(({ queue }) => queue))
  return [...counted.filter((link) => !isHalf(link) || !whole.has(link.queue)), ...ours]
}

function isHalf({ from, to }: LinkStats): boolean {
  return from.length === 0 || to === null
}
