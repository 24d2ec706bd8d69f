import type { Instrument } from './group.js'
import { GROUPS } from './instruments.js'
import { inPrometheus, sampleName } from './open-metrics.js'

/** Of Grafana's 24 columns, and in its rows. */
const PANEL = { w: 8, h: 7 }
const PANELS_IN_A_ROW = 3
const SOURCE = { type: 'prometheus', uid: '${datasource}' }
/** What to choose the domains by. */
const SELECTED = 'millrace_domain=~"$domain"'

/**
 * A dashboard for Grafana that shows every instrument, of domains that are chosen above it: plain data, to be written as JSON and imported.
 * It asks a data source of type Prometheus, whether the values came there by {@link openMetrics} or by OpenTelemetry.
 */
export function grafanaDashboard(): object {
  const panels: object[] = []
  let y = 0
  for (const { title, labels, instruments } of GROUPS) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: 24, h: 1 },
    })
    for (const [at, instrument] of instruments.entries()) {
      const gridPos = {
        x: (at % PANELS_IN_A_ROW) * PANEL.w,
        y: y + 1 + Math.floor(at / PANELS_IN_A_ROW) * PANEL.h,
        ...PANEL,
      }
      panels.push({ id: panels.length + 1, ...panel(instrument, labels, gridPos) })
    }
    y += 1 + Math.ceil(instruments.length / PANELS_IN_A_ROW) * PANEL.h
  }
  return {
    title: 'Millrace',
    uid: 'millrace',
    tags: ['millrace'],
    schemaVersion: 39,
    editable: true,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    templating: { list: [DATA_SOURCE, DOMAIN] },
    panels,
  }
}

function panel(instrument: Instrument, labels: readonly string[], gridPos: object): object {
  const { name, kind, unit, description } = instrument
  const values = `${sampleName(instrument)}{${SELECTED}}`
  const expr = kind === 'counter' ? `rate(${values}[$__rate_interval])` : values
  const legendFormat = ['millrace.domain', ...labels].map((label) => `{{${inPrometheus(label)}}}`).join(' ')
  const shownUnit = unit === 'By' ? 'bytes' : kind === 'counter' ? 'cps' : 'short'
  return {
    type: 'timeseries',
    title: kind === 'counter' ? `${name} a second` : name,
    description,
    datasource: SOURCE,
    gridPos,
    fieldConfig: { defaults: { unit: shownUnit, min: 0 }, overrides: [] },
    targets: [{ refId: 'A', datasource: SOURCE, expr, legendFormat }],
  }
}

const DATA_SOURCE = { name: 'datasource', label: 'data source', type: 'datasource', query: 'prometheus' }

const DOMAIN = {
  name: 'domain',
  type: 'query',
  datasource: SOURCE,
  query: { query: 'label_values(millrace_domain_used_bytes, millrace_domain)', refId: 'domain' },
  refresh: 2,
  multi: true,
  includeAll: true,
  allValue: '.*',
  current: { text: 'All', value: '$__all' },
}
