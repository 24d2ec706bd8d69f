// Chaos of a flow in several processes: `npm run chaos:flow -- --kills N --seed S [--delivery at-least-once]`. Build first. Ends with one
// line and, if anything is not accounted for, with status 1.
import { parseArgs } from 'node:util'
import { chaosOfFlow } from '../dist/__test__/helpers/flow-chaos.js'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
    delivery: { type: 'string', multiple: true, default: ['at-least-once', 'at-most-once'] },
  },
})
let problems = 0
const started = performance.now()
for (const delivery of values.delivery) {
  const ends = []
  const options = { delivery, kills: Number(values.kills), seed: Number(values.seed) }
  const outcome = await chaosOfFlow({ teardown: (end) => ends.push(end) }, options)
  for (const end of ends.toReversed()) await end()
  problems += outcome.problems.length
  console.log(delivery, JSON.stringify(outcome))
}
console.log(`seed ${values.seed}, ${Math.round((performance.now() - started) / 1e3)} s: ${problems} problems`)
process.exitCode = problems === 0 ? 0 : 1
