/** Says on stderr how far a run is: a bar that is drawn anew on a terminal, else a line per row. */
export class Progress {
  readonly #total: number
  readonly #started = performance.now()
  readonly #bar = process.stderr.isTTY
  #done = 0

  constructor(total: number) {
    this.#total = total
  }

  /** Row number `row` begins. */
  begin(title: string): void {
    if (this.#bar) this.draw(title, 0)
    else process.stderr.write(`[${this.#done + 1}/${this.#total}] ${title}\n`)
  }

  /** A part of the present row, 0 … 1, is done. */
  draw(text: string, part: number): void {
    if (!this.#bar) return
    const share = (this.#done + part) / this.#total
    const cells = Math.round(share * 24)
    const seconds = Math.round((performance.now() - this.#started) / 1e3)
    const line = `${'█'.repeat(cells)}${'░'.repeat(24 - cells)} ${Math.round(share * 100)} % ${seconds} s  ${text}`
    process.stderr.write(`\r\x1b[2K${line.slice(0, (process.stderr.columns || 80) - 1)}`)
  }

  /** The present row is done. */
  end(): void {
    this.#done++
    if (this.#bar) process.stderr.write('\r\x1b[2K')
  }
}
