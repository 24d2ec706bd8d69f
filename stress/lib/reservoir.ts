const PLACES = 4096

/** Some of any number of values, each as likely as the others to be among them. */
export class Reservoir {
  readonly #values: number[] = []
  #seen = 0

  add(value: number): void {
    this.#seen++
    const place = this.#seen <= PLACES ? this.#seen - 1 : Math.floor(Math.random() * this.#seen)
    if (place < PLACES) this.#values[place] = value
  }

  get values(): Float64Array {
    return Float64Array.from(this.#values)
  }
}
