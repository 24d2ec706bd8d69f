// The short form of `npm run chaos:flow`.
import test from 'ava'
import { chaosOfFlow } from '../helpers/flow-chaos.js'

for (const delivery of ['at-least-once', 'at-most-once'] as const) {
  test.serial(
    `processes of a flow are killed at random, and every message is accounted for: ${delivery}`,
    async (t) => {
      t.timeout(60_000)
      const { problems, sent, ...outcome } = await chaosOfFlow(t, { delivery, kills: 15, seed: 1 })
      t.deepEqual(problems, [])
      t.true(sent.every((count) => count > 0))
      t.log(sent, 'sent', outcome)
    },
  )
}
