/** @internal How far a call has come that does something with the values of a list, in order. */
export interface Progress {
  /** So many of the first are done. */
  done: number
}
