// Figures as they stand in cells.
import type { ComponentChildren } from 'preact'
import { short } from '../../units.js'

/** A number, or that there is none. */
export function Number({ of }: { of: number | null }): ComponentChildren {
  return of === null ? '–' : short(of)
}

/** How much of something is used: a bar, and in numbers. From 90 % on it is marked by a sign, not by colour alone. */
export function Share({
  part,
  whole,
  tell = String,
}: {
  part: number
  whole: number
  tell?: (value: number) => string
}) {
  const share = whole === 0 ? 0 : Math.min(part / whole, 1)
  return (
    <span class={`share ${levelOf(share)}`}>
      <span class="bar" style={{ '--share': `${share * 100}%` }} />
      {tell(part)} of {tell(whole)}
      {share >= FULL && (
        <span role="img" aria-label="nearly full">
          {' '}
          ▲
        </span>
      )}
    </span>
  )
}

const FULL = 0.9
const FILLING = 0.5

/** How full something is, as a word. */
export function levelOf(share: number): 'calm' | 'filling' | 'full' {
  return share >= FULL ? 'full' : share >= FILLING ? 'filling' : 'calm'
}

/** ms as people read them. */
export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${short(ms / 1000)} s`
}

const WIDTH = 120
const HEIGHT = 22

/** The last hour as a line; what it says in numbers is its label. */
export function Spark({ values = [] }: { values: readonly (number | null)[] | undefined }) {
  const known = values.filter((value) => value !== null)
  const most = Math.max(...known, 0)
  if (known.length === 0) return <span class="muted">from the first 10 s on</span>
  const label = `last hour: at most ${short(most)} sent a second, now ${short(known.at(-1)!)}`
  return (
    <svg class="spark" role="img" aria-label={label} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT}>
      <title>{label}</title>
      <path d={lineOf(values, most)} />
    </svg>
  )
}

/** A path with a gap wherever nobody looked; as wide as the time that is known. */
function lineOf(values: readonly (number | null)[], most: number): string {
  const steps = values.map((value, at) => {
    if (value === null) return ''
    const x = (at / Math.max(values.length - 1, 1)) * WIDTH
    const y = HEIGHT - 1 - (most === 0 ? 0 : value / most) * (HEIGHT - 2)
    const point = `${x.toFixed(1)} ${y.toFixed(1)}`
    // A value between two gaps is a dot.
    return (values[at - 1] ?? null) === null ? `M${point}h0` : `L${point}`
  })
  return steps.join('')
}
