const ERASE = '\u001B[K'

/** What a terminal shows of text that goes by lines: carriage return, line feed, and "erase to the end of the line". */
export class Screen {
  #lines = [[]]
  #column = 0

  constructor(text) {
    this.write(text)
  }

  write(text) {
    for (const [index, part] of text.split(ERASE).entries()) {
      if (index > 0) this.#lines.at(-1).length = this.#column
      for (const character of part) this.#put(character)
    }
  }

  #put(character) {
    if (character === '\r') this.#column = 0
    else if (character === '\n') {
      this.#lines.push([])
      this.#column = 0
    } else if (character < ' ')
      throw new Error(`a terminal is asked for ${JSON.stringify(character)}, which is not known here`)
    else this.#lines.at(-1)[this.#column++] = character
  }

  /** The lines, from the first on. */
  lines() {
    return this.#lines.map((line) => line.join(''))
  }
}
