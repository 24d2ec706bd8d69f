import type { Answered } from '../lib/jobs.js'
import type { Stage } from '../lib/stage.js'

const SERVICE = 'questions'

/** Requests of some participants to others until the time is over; each is answered once, and rightly. */
export async function requests(
  stage: Stage,
  { servers, clients }: { servers: number; clients: number },
): Promise<void> {
  const serving = await stage.start('server', servers, true)
  const served = stage.askAll<Answered>(serving, 'serve', SERVICE)
  const asking = await stage.start('client', clients)
  const asked = Promise.all(asking.map((one, client) => stage.ask<Answered>(one, 'ask', { name: SERVICE, client })))
  await stage.time()
  await stage.askAll(asking, 'stop')
  const questions = (await asked).filter((one) => one !== undefined)
  await stage.askAll(serving, 'stop')
  const answers = await served
  stage.messages += sum(questions, 'count')
  stage.latencies.push(...questions.map(({ latencies }) => latencies))
  const [questioned, answered, wrong] = [sum(questions, 'count'), sum(answers, 'count'), sum(questions, 'wrong')]
  stage.expect(questioned === answered, `${questioned} requests were made, ${answered} answered`)
  stage.expect(wrong === 0, `${wrong} answers were wrong`)
}

function sum(sides: readonly Answered[], what: 'count' | 'wrong'): number {
  return sides.reduce((all, one) => all + one[what], 0)
}
