// Chaos from JavaScript over queues and topics, services, SageQueues: `npm run chaos:js -- --seconds N --seed S [--feature NAME]`.
// Build first. Ends with one line and, if anything is not accounted for, with status 1.
import { parseArgs } from 'node:util'
import { chaos } from '../dist/__test__/helpers/chaos.js'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
    feature: { type: 'string', multiple: true, default: ['queues', 'services', 'sage'] },
  },
})
const seconds = Number(values.seconds) / values.feature.length
let problems = 0
for (const feature of values.feature) {
  const ends = []
  const outcome = await chaos({ teardown: (end) => ends.push(end) }, { feature, seconds, seed: Number(values.seed) })
  for (const end of ends.toReversed()) await end()
  problems += outcome.problems.length
  console.log(feature, JSON.stringify(outcome))
}
console.log(`seed ${values.seed}: ${problems} problems`)
process.exitCode = problems === 0 ? 0 : 1
