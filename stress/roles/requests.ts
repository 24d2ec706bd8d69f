import type { ShmManager } from '../../index.js'
import type { Answered, Fault } from '../lib/jobs.js'
import { nowUs } from '../lib/message.js'
import { Reservoir } from '../lib/reservoir.js'

interface Question {
  client: number
  n: number
}

/** What the answer to a question is. */
function answerOf({ client, n }: Question): string {
  return `${client}:${n ** 2}`
}

function open(shm: ShmManager, name: string) {
  return shm.service<Question, string>(name, { codec: 'json' })
}

/** Answers requests until `signal` is aborted. */
export async function serve(
  shm: ShmManager,
  name: string,
  signal: AbortSignal,
  answered: () => void,
  fault: Fault | undefined,
): Promise<Answered> {
  const service = open(shm, name)
  let count = 0
  const handler = (question: Question) => {
    count++
    answered()
    const isFaulty = count === 10
    const isWrong = isFaulty && fault === 'damage'
    if (isFaulty && fault === 'lose') {
      count--
      fault = undefined
    }
    return isWrong ? 'wrong' : answerOf(question)
  }
  await service.serve(handler, { signal })
  return { count, wrong: 0, latencies: new Float64Array() }
}

/** Asks one question after the other while `goesOn`. */
export async function ask(shm: ShmManager, name: string, client: number, goesOn: () => boolean): Promise<Answered> {
  using service = open(shm, name)
  const latencies = new Reservoir()
  let count = 0
  let wrong = 0
  while (goesOn()) {
    const question = { client, n: count++ }
    const began = nowUs()
    if ((await service.request(question)) !== answerOf(question)) wrong++
    latencies.add(nowUs() - began)
  }
  return { count, wrong, latencies: latencies.values }
}
