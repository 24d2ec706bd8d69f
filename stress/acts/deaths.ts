import { chaos } from '../../__test__/helpers/chaos.js'
import type { Stage } from '../lib/stage.js'

const FEATURES = ['queues', 'services', 'sage'] as const

/** What `npm run chaos:js` does, for the time of the scenario: its processes are in a domain of their own. */
export async function deaths(stage: Stage): Promise<void> {
  for (const feature of FEATURES) {
    const ends: (() => unknown)[] = []
    const options = { feature, seed: stage.seed, seconds: stage.seconds / FEATURES.length, children: stage.processes }
    const { problems, counts } = await chaos({ teardown: (end: () => unknown) => void ends.push(end) }, options)
    for (const end of ends.toReversed()) await end()
    stage.problems.push(...problems.map((problem) => `${feature}: ${problem}`))
    stage.messages += Object.entries(counts).reduce((sum, [what, count]) => sum + (what.startsWith('<') ? count : 0), 0)
  }
}
