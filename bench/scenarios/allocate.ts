import { Program } from '../lib/control.js'
import { inFolder } from '../lib/pair.js'
import type { Contender, Scenario } from '../lib/row.js'
import { type Size, SIZES, slug } from '../lib/sizes.js'

const WAYS = ['Millrace, one by one', 'Millrace, 256 together', 'new Uint8Array', 'new SharedArrayBuffer']

/** A buffer of shared memory and back, beside memory of the process alone, which is zeroed and garbage collected. */
export const allocation: Scenario = {
  name: 'allocate',
  title: 'time to get a buffer and to let it go',
  rows({ quick }) {
    const sizes = [SIZES[0]!, SIZES[3]!]
    return (quick ? [] : sizes).map((size) => ({
      id: `allocate-${slug(size)}`,
      title: `${size.name} allocated and released`,
      unit: 'ns',
      better: 'lower',
      contenders: WAYS
        // 256 of 1 MiB at once is not what one does.
        .filter((way) => size.bytes < 2 ** 20 || !way.includes('together'))
        .map((way) => contender(way, size)),
    }))
  },
}

function contender(how: string, { bytes }: Size): Contender {
  return {
    name: how,
    measure: ({ warmupMs, timedMs }) =>
      inFolder(async (directory) => {
        const program = Program.process('allocate', { directory, how, bytes })
        await program.request('run', warmupMs)
        const value = await program.request<number>('run', timedMs)
        await program.stop()
        return { value }
      }),
  }
}
