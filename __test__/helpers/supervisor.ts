import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import {
  type ChildOptions,
  type ChildState,
  Supervisor,
  type SupervisorEvents,
  type SupervisorOptions,
} from '../../flow.js'

const EVENTS = ['started', 'exited', 'restarting', 'gave-up', 'stalled'] satisfies (keyof SupervisorEvents)[]

/** Something a supervisor has told. */
export interface Event {
  event: keyof SupervisorEvents
  state: ChildState
  /** Before a restart, in ms. */
  delay: number | undefined
}

/** A supervisor, which is stopped when the test ends, and everything it tells. */
export function openSupervisor(
  t: Pick<ExecutionContext, 'teardown'>,
  options?: SupervisorOptions,
): { supervisor: Supervisor; events: Event[] } {
  const supervisor = new Supervisor(options)
  const events: Event[] = []
  for (const event of EVENTS) {
    supervisor.on(event, (state: ChildState, delay?: number) => events.push({ event, state, delay }))
  }
  t.teardown(() => supervisor.stop())
  return { supervisor, events }
}

/** Options to start a program of __test__/fixtures; `args` is for `argsOf`. */
export function program(fixture: string, args: unknown, options: Partial<ChildOptions> = {}): ChildOptions {
  const module = fileURLToPath(new URL(`../fixtures/${fixture}.js`, import.meta.url))
  return { module, args: [JSON.stringify(args)], backoff: { initial: 0 }, ...options }
}
