import type { Lives } from '../lib/jobs.js'
import type { Stage } from '../lib/stage.js'
import { VALUES_OF_A_LIFE } from '../roles/lives.js'

const NAMES = 'names'

/** SageQueues made by some participants and destroyed by others while `during` lasts; then each that was made has been destroyed. */
export async function lifecycles(
  stage: Stage,
  { makers, destroyers }: { makers: number; destroyers: number },
  during: () => Promise<void>,
): Promise<void> {
  const names = stage.ends.sage<string>(NAMES)
  stage.atEnd(() => {
    names.destroy()
    names.close()
  })
  const ending = await stage.start('destroyer', destroyers, true)
  const ended = stage.askAll<Lives>(ending, 'destroy', NAMES)
  const making = await stage.start('maker', makers)
  const made = Promise.all(making.map((one, maker) => stage.ask<Lives>(one, 'make', { names: NAMES, maker })))
  await during()
  await stage.askAll(making, 'stop')
  const makes = (await made).filter((one) => one !== undefined)
  names.shutdown()
  const ends = await ended
  const [count, destroyed, values] = [sum(makes, 'made'), sum(ends, 'destroyed'), sum(ends, 'values')]
  stage.messages += values
  stage.expect(count === destroyed, `${count} queues were made, ${destroyed} destroyed`)
  const expected = destroyed * VALUES_OF_A_LIFE
  stage.expect(values === expected, `${values} values were got of queues that were destroyed, not ${expected}`)
  stage.problems.push(...[...makes, ...ends].flatMap(({ problems }) => problems.slice(0, 3)))
}

function sum(lives: readonly Lives[], what: 'made' | 'destroyed' | 'values'): number {
  return lives.reduce((all, one) => all + one[what], 0)
}
