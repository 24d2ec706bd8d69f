const KIB = 2 ** 10
const MIB = 2 ** 20

/** A size of messages, and how it is called. */
export interface Size {
  readonly bytes: number
  readonly name: string
}

/** The sizes that rows are measured at. */
export const SIZES: readonly Size[] = [
  { bytes: 64, name: '64 B' },
  { bytes: KIB, name: '1 KiB' },
  { bytes: 64 * KIB, name: '64 KiB' },
  { bytes: MIB, name: '1 MiB' },
  { bytes: 8 * MIB, name: '8 MiB' },
  { bytes: 64 * MIB, name: '64 MiB' },
]

/** A size's name as part of a row's id. */
export function slug({ name }: Size): string {
  return name.replace(' ', '').toLowerCase()
}
