import { misuse } from '../../errors.js'
import type { PortOwner } from '../block/port.js'
import { LogsBlock } from '../js/logs.js'
import type { Linked } from './link-rules.js'
import type { AddedBlock } from './links.js'
import type { Place } from './places.js'

/**
 * The blocks that send what the other processes of the flow print, and end when those have.
 * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`: a process would wait for its own end, or there are no others
 */
export function logsOf(flow: string, blocks: readonly AddedBlock[], links: readonly Linked[]): LogsBlock[] {
  const places = new Map<PortOwner, Place>(blocks.map(({ block, places: [place] }) => [block, place]))
  const all = [...places.keys()].filter((block) => block instanceof LogsBlock)
  if (all[0] !== undefined && [...places.values()].every((place) => place === undefined)) {
    const { name } = all[0]
    throw misuse(`block '${name}' sends what processes and worker threads of its flow print, and '${flow}' has none`)
  }
  for (const block of all) {
    const behind = new Set<PortOwner>([block])
    // A set grows while it is gone through.
    for (const one of behind) for (const { from, to } of links) if (from.owner === one) behind.add(to.owner)
    const elsewhere = [...behind].find((one) => places.get(one) !== undefined)
    if (elsewhere === undefined) continue
    const message = `block '${elsewhere.name}' is in '${places.get(elsewhere)}', and cannot end before block '${block.name}', which sends what that prints until it ends: put it into the process of the flow`
    throw misuse(message)
  }
  return all
}
