// The last hour of one queue, topic or domain, in a dialog.
import uPlot from 'uplot'
import { useEffect, useRef } from 'preact/hooks'
import type { Chart, Sparks } from '../protocol.js'
import { useAnswer } from './stream.js'

const HEIGHT = 280

interface HourProps {
  /** Name of the series. */
  readonly series: string
  /** Those of the last point: the chart is asked for again when there is a new one. */
  readonly sparks: Sparks
  readonly close: () => void
}

/** The dialog. Escape closes it. */
export function Hour({ series, sparks, close }: HourProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const chart = useAnswer<Chart | null>('/history', series, sparks)
  useEffect(() => dialog.current!.showModal(), [])
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="hour">
      <form method="dialog">
        <h2 id="hour">{series}: the last hour</h2>
        <button type="submit">Close</button>
      </form>
      {chart === null && <p>There is no history of it.</p>}
      {chart !== null && chart !== undefined && chart.times.length === 0 && <p>The first point comes after 10 s.</p>}
      {chart !== null && chart !== undefined && chart.times.length > 0 && (
        <>
          <Lines chart={chart} title="messages a second" lines={RATES} />
          <Lines chart={chart} title="messages in it, at most" lines={DEPTH} />
        </>
      )}
    </dialog>
  )
}

/** A line: where it is in the chart, its name, the variable of the style that has its colour, and its dashes. */
type Line = readonly [column: Exclude<keyof Chart, 'times'>, label: string, colour: string, dash: number[]]

const RATES: readonly Line[] = [
  ['sentPerSecond', 'sent', '--sent', []],
  ['receivedPerSecond', 'received', '--received', [6, 3]],
  ['droppedPerSecond', 'dropped', '--dropped', [2, 3]],
]
const DEPTH: readonly Line[] = [['depth', 'depth', '--sent', []]]

/** Lines over time. Told apart by dashes, too. */
function Lines({ chart, title, lines }: { chart: Chart; title: string; lines: readonly Line[] }) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const data = [chart.times, ...lines.map(([column]) => chart[column])] as uPlot.AlignedData
  useEffect(() => {
    const colours = getComputedStyle(place.current!)
    const colour = (variable: string): string => colours.getPropertyValue(variable)
    const axis = { stroke: colour('--text'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } }
    const series = lines.map(([, label, variable, dash]) => ({ label, stroke: colour(variable), width: 2, dash }))
    const options = {
      title,
      width: place.current!.clientWidth,
      height: HEIGHT,
      axes: [axis, axis],
      series: [{}, ...series],
    }
    plot.current = new uPlot(options, data, place.current!)
    return () => plot.current!.destroy()
  }, [])
  useEffect(() => plot.current!.setData(data), [chart])
  return <div ref={place} role="img" aria-label={`${title}: ${told(chart, lines)}`} />
}

/** The newest values in words. */
function told(chart: Chart, lines: readonly Line[]): string {
  return lines.map(([column, label]) => `${label} ${chart[column].at(-1) ?? 'none'}`).join(', ')
}
