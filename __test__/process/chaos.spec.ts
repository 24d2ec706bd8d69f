// The short form of `npm run chaos:js`.
import test from 'ava'
import { chaos } from '../helpers/chaos.js'

for (const feature of ['queues', 'services', 'sage'] as const) {
  test.serial(`everything is accounted for, whoever is killed or stopped: ${feature}`, async (t) => {
    t.timeout(60_000)
    const { kills, counts, problems } = await chaos(t, { feature, seconds: 3, seed: 1 })
    t.deepEqual(problems, [])
    t.true(kills > 0 && Object.values(counts).every((count) => count > 0), JSON.stringify(counts))
    t.log(kills, 'killed', counts)
  })
}
