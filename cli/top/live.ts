// `millrace top` on a terminal: what is seen goes onto the screen, keys change what is shown, and actions run meanwhile.
import { MillraceError } from '../../index.js'
import type { Action } from './actions.js'
import { type Key, pressed, type State } from './keys.js'
import { type Moment, Moments } from './moments.js'
import { bodyOf, type Scene, screenOf } from './screen.js'
import { Terminal } from './terminal.js'

/** Shows `seen`, one moment after the other, until a key or somebody else aborts `stop`. */
export async function live(
  seen: AsyncIterable<Moment>,
  start: State,
  where: { directory?: string },
  stop: AbortController,
): Promise<void> {
  const moments = new Moments()
  let state = start
  let newest: Moment | undefined
  let news: string | undefined
  /** An action that is under way. */
  let running: Promise<void> | undefined

  const scene = (of: Moment): Scene => ({ newest: of, state, news, width: terminal.width, height: terminal.height })
  const draw = (): void => {
    if (newest !== undefined) terminal.draw(screenOf(scene(newest)))
  }
  const onKey = (key: Key): void => {
    if (newest === undefined) return
    if (running === undefined) news = undefined
    const next = pressed(state, key, { body: bodyOf(scene(newest)), newest, moments })
    state = { ...next, confirmed: undefined }
    if (next.quit) stop.abort()
    // One at a time.
    if (next.confirmed !== undefined) running ??= run(next.confirmed)
    draw()
  }
  const run = async (action: Action): Promise<void> => {
    try {
      const { progress, done } = action.start(where, stop.signal)
      const timer = setInterval(() => {
        news = progress()
        draw()
      }, PROGRESS_MS)
      news = `${action.name} …`
      news = await done.finally(() => clearInterval(timer))
    } catch (error) {
      news = error instanceof MillraceError ? `${error.code}: ${error.message}` : String(error)
    }
    running = undefined
    draw()
  }

  using terminal = new Terminal(onKey, draw)
  for await (newest of seen) {
    moments.add(newest)
    draw()
  }
  await running
}

/** Time after which it is shown how far an action is. */
const PROGRESS_MS = 1000
