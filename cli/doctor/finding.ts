// What the doctor finds.

/** One thing that is worth knowing about this machine or its domains. */
export interface Finding {
  /** `problem`: there is something to do. `note`: it is well as it is, as long as one knows. */
  readonly level: 'problem' | 'note'
  /** What it is about. */
  readonly about: string
  readonly message: string
  /** What to do about it. */
  readonly advice: string
}
