import { inFolder } from './pair.js'
import { Program } from './control.js'
import type { Sample } from './result.js'
import type { Contender } from './row.js'

/** Round trips between two event loops that do nothing else than to ask for the next message. */
export const polling: Contender = {
  name: 'Millrace, polling in JavaScript',
  measure: ({ warmupMs, timedMs }) =>
    inFolder(async (folder) => {
      const far = Program.process('polling', { folder, out: 'back', inward: 'there' })
      const near = Program.process('polling', { folder, out: 'there', inward: 'back' })
      const echoed = far.request('echo')
      const sample = await near.request<Sample>('ask', { warmupMs, timedMs })
      await echoed
      await Promise.all([near.stop(), far.stop()])
      return sample
    }),
}
