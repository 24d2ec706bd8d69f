// The terminal while a program has the whole of it. Escape sequences that every terminal has, over ssh too.
import { emitKeypressEvents } from 'node:readline'
import type { Key } from './keys.js'
import type { Line } from './screen.js'

/** Another screen than the one before, without cursor, and without lines that go on below. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l'
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const REST_OF_LINE = '\u001b[K'
const REST_OF_SCREEN = '\u001b[J'
const PLAIN = '\u001b[0m'
const LOOKS: Readonly<Record<Line['look'], string>> = {
  plain: '',
  heading: '\u001b[7m',
  warning: '\u001b[33m',
  selected: '\u001b[1m',
}

/** Takes the terminal until it is disposed of, which leaves it as it was. */
export class Terminal implements Disposable {
  readonly #onKey: (_: string | undefined, key: Key) => void
  readonly #onSize: () => void

  /** @param onKey is called with every key, `onSize` when the size has changed */
  constructor(onKey: (key: Key) => void, onSize: () => void) {
    this.#onKey = (_, key) => onKey(key)
    this.#onSize = onSize
    if (process.stdin.isTTY) {
      emitKeypressEvents(process.stdin)
      process.stdin.setRawMode(true)
      process.stdin.on('keypress', this.#onKey)
    }
    process.stdout.on('resize', this.#onSize)
    process.stdout.write(ENTER)
  }

  /** One that says nothing of its size is a small one. */
  get width(): number {
    return process.stdout.columns || 80
  }

  get height(): number {
    return process.stdout.rows || 24
  }

  /** Shows `lines`, as many as fit. */
  draw(lines: readonly Line[]): void {
    const looks = process.stdout.hasColors()
    const shown = lines.map(({ text, look }) =>
      looks && look !== 'plain' ? `${LOOKS[look]}${text}${PLAIN}${REST_OF_LINE}` : `${text}${REST_OF_LINE}`,
    )
    process.stdout.write(`${HOME}${shown.join('\r\n')}${REST_OF_SCREEN}`)
  }

  [Symbol.dispose](): void {
    process.stdout.off('resize', this.#onSize)
    process.stdout.write(LEAVE)
    if (!process.stdin.isTTY) return
    process.stdin.off('keypress', this.#onKey)
    process.stdin.setRawMode(false)
    process.stdin.pause()
  }
}
