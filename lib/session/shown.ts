import { inspect, type InspectOptions } from 'node:util'

/** What `console.log` shows of an object of class `title`: its name, and its state, as far as that can be looked at. */
export function shown(title: string, name: string, state: () => object | null, options: InspectOptions): string {
  let now: object | null = null
  try {
    now = state()
  } catch {
    // Closed, destroyed or damaged: what is done with it says so.
  }
  return `${title} ${inspect({ name, ...now }, options)}`
}
