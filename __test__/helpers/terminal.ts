// The command line tool in a terminal: a pseudo-terminal, made by script(1) of util-linux, and an emulator that says what stands on its screen.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { MAIN, RUNTIME_FLAGS } from './cli.js'
import { threadsOf } from './threads.js'

/** What is used of the emulator. */
interface Emulator {
  readonly rows: number
  readonly cols: number
  readonly buffer: {
    readonly active: {
      readonly type: 'normal' | 'alternate'
      readonly viewportY: number
      getLine(at: number): { translateToString(trimRight: boolean, from: number, to: number): string } | undefined
    }
  }
  write(text: string, done: () => void): void
  resize(columns: number, rows: number): void
  dispose(): void
}

// It has names only for require().
const { Terminal } = createRequire(import.meta.url)('@xterm/headless') as {
  Terminal: new (options: { cols: number; rows: number; allowProposedApi: boolean }) => Emulator
}

/** Whether there is what makes pseudo-terminals. */
export const HAS_TERMINALS = process.platform === 'linux' && existsSync('/usr/bin/script')

/** Of the terminal. */
export interface TerminalOptions {
  columns: number
  rows: number
  env?: NodeJS.ProcessEnv
}

/** A terminal in which the tool runs; ended with the test. */
export class TestTerminal {
  /** Everything that was written to it. */
  output = ''
  /** Exit code of the tool. */
  readonly ended: Promise<number | null>
  readonly #emulator: Emulator
  readonly #type: (text: string) => void
  readonly #device: string
  readonly #process: string
  #changed: (() => void) | undefined
  #over = false

  constructor(t: ExecutionContext, args: readonly string[], { columns, rows, env = {} }: TerminalOptions) {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-terminal-'))
    this.#device = join(folder, 'device')
    this.#emulator = new Terminal({ cols: columns, rows, allowProposedApi: true })
    const words = [process.execPath, ...RUNTIME_FLAGS, MAIN, ...args].map((word) => `'${word}'`).join(' ')
    this.#process = join(folder, 'pid')
    const command = `tty > '${this.#device}'; echo $$ > '${this.#process}'; stty rows ${rows} cols ${columns}; exec ${words}`
    const shell = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      // What else decides about colours: whatever the tests run in.
      env: {
        ...process.env,
        TERM: 'xterm-256color',
        FORCE_COLOR: undefined,
        NO_COLOR: undefined,
        CI: undefined,
        ...env,
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    t.teardown(() => {
      if (!t.passed) t.log(`${this.screen.join('\n').trimEnd()}\n${threadsOf(this.pid)}`)
      shell.kill('SIGKILL')
      this.#emulator.dispose()
      rmSync(folder, { recursive: true })
    })
    this.#type = (text) => shell.stdin.write(text)
    shell.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.output += text
      this.#emulator.write(text, () => this.#changed?.())
    })
    this.ended = new Promise((resolve) =>
      shell.once('close', (code) => {
        // What was written last is on the screen first.
        this.#emulator.write('', () => {
          this.#over = true
          this.#changed?.()
          resolve(code)
        })
      }),
    )
  }

  /** Process of the tool, once it has written something. */
  get pid(): number {
    return Number(readFileSync(this.#process, 'utf8'))
  }

  /** Presses keys. */
  type(text: string): void {
    this.#type(text)
  }

  /** Makes it another size. */
  resize(columns: number, rows: number): void {
    this.#emulator.resize(columns, rows)
    const device = readFileSync(this.#device, 'utf8').trim()
    execFileSync('stty', ['-F', device, 'rows', `${rows}`, 'cols', `${columns}`])
  }

  /** Whether a program has the whole screen. */
  get isTaken(): boolean {
    return this.#emulator.buffer.active.type === 'alternate'
  }

  /** The lines of the screen: the emulator keeps what was to the right of one that has become narrower. */
  get screen(): string[] {
    const { active } = this.#emulator.buffer
    const { rows, cols } = this.#emulator
    return Array.from({ length: rows }, (_, at) =>
      active.getLine(active.viewportY + at)!.translateToString(true, 0, cols),
    )
  }

  /** The screen when `isRight` of it; an error with the screen if the tool ends before. */
  async shows(isRight: (screen: string[]) => boolean): Promise<string[]> {
    while (!isRight(this.screen)) {
      if (this.#over) throw new Error(`it ended with this on the screen:\n${this.screen.join('\n')}`)
      await new Promise<void>((resolve) => (this.#changed = resolve))
    }
    return this.screen
  }
}
