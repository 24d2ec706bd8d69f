import { parseFlow, validateFlow } from '../../flow.js'
import type { Command } from '../command.js'
import { readFlowFile, toldFaults } from '../flow-file.js'
import { plural } from '../units.js'

/** Tells all that is wrong with a flow, without running it. */
export const flowValidate: Command = {
  name: 'flow validate',
  parameters: ['<file>'],
  options: {},
  summary: 'say all that is wrong with a flow written as YAML or JSON; imports its modules',
  async run({ positionals, json }) {
    const { path, text, base } = readFlowFile(positionals[0]!)
    const faults = await validateFlow(text, { base })
    if (json) console.log(JSON.stringify({ file: path, faults }, undefined, 2))
    else if (faults.length > 0) console.log(toldFaults(path, faults))
    else console.log(`${path}: no faults (${counted(text)})`)
    return faults.length === 0 ? 0 : 1
  },
}

function counted(text: string): string {
  const { blocks, links = [] } = parseFlow(text)
  return `${plural(blocks.length, 'block')}, ${plural(links.length, 'link')}`
}
