import type { Snapshot } from '../session/snapshot.js'
import type { Instrument, Point } from './group.js'
import { pointsOf } from './instruments.js'

/** What an answer that carries {@link openMetrics} says of itself. */
export const OPENMETRICS_CONTENT_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/**
 * All values of `snapshots` in the text format of OpenMetrics, which Prometheus and others read. Names are those that the exporters of
 * OpenTelemetry make of {@link INSTRUMENTS}.
 * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT` when two of them are of domains of the same name
 */
export function openMetrics(snapshots: Snapshot | readonly Snapshot[]): string {
  const families = [...pointsOf([snapshots].flat())].filter(([, points]) => points.length > 0)
  return [...families.flatMap(([instrument, points]) => family(instrument, points)), '# EOF', ''].join('\n')
}

/** Name of the metric family. */
export function familyName({ name, unit }: Instrument): string {
  return unit === 'By' ? `${inPrometheus(name)}_bytes` : inPrometheus(name)
}

/** Name of its samples. */
export function sampleName(instrument: Instrument): string {
  return instrument.kind === 'counter' ? `${familyName(instrument)}_total` : familyName(instrument)
}

/** A name of OpenTelemetry as Prometheus has it. */
export function inPrometheus(name: string): string {
  return name.replaceAll('.', '_')
}

function family(instrument: Instrument, points: readonly Point[]): string[] {
  const [name, sample] = [familyName(instrument), sampleName(instrument)]
  return [
    `# TYPE ${name} ${instrument.kind === 'counter' ? 'counter' : 'gauge'}`,
    ...(instrument.unit === 'By' ? [`# UNIT ${name} bytes`] : []),
    `# HELP ${name} ${escaped(instrument.description)}`,
    ...points.map(({ attributes, value }) => `${sample}{${labels(attributes)}} ${value}`),
  ]
}

function labels(attributes: Point['attributes']): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${inPrometheus(name)}="${escaped(`${value}`)}"`)
    .join(',')
}

function escaped(text: string): string {
  return text.replaceAll(/[\\"\n]/g, (one) => (one === '\n' ? '\\n' : `\\${one}`))
}
