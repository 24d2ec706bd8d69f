// Numbers as people read them.

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
const SECOND = 1000
const AGE_UNITS: readonly [ms: number, unit: string][] = [
  [86_400 * SECOND, 'd'],
  [3600 * SECOND, 'h'],
  [60 * SECOND, 'min'],
  [SECOND, 's'],
]

/** "512 B", "1.5 MiB". */
export function bytes(value: number): string {
  const power = value < 1 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), BYTE_UNITS.length - 1)
  return `${short(value / 1024 ** power)} ${BYTE_UNITS[power]}`
}

/** How long ago `since` was, a time in ms since the Unix epoch: "3 min". */
export function age(since: number): string {
  const ms = Math.max(Date.now() - since, 0)
  const [size, unit] = AGE_UNITS.find(([each]) => ms >= each) ?? AGE_UNITS.at(-1)!
  return `${Math.floor(ms / size)} ${unit}`
}

/** "1 queue", "2 queues". */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** At most one digit behind the point, and none behind that of large numbers. */
export function short(value: number): string {
  return value < 100 && !Number.isInteger(value) ? value.toFixed(1) : `${Math.round(value)}`
}
