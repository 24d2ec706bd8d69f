/**
 * The numbers of domains for Prometheus, OpenTelemetry and Grafana. What they are read from are snapshots: of a manager
 * (`shm.registry.snapshot()`), or of an observer (`ShmObserver.snapshots()`).
 * @module millrace/metrics
 */
export { grafanaDashboard } from './lib/metrics/dashboard.js'
export type { Instrument } from './lib/metrics/group.js'
export { INSTRUMENTS } from './lib/metrics/instruments.js'
export { openMetrics, OPENMETRICS_CONTENT_TYPE } from './lib/metrics/open-metrics.js'
export {
  type BatchResult,
  type ObservingMeter,
  registerInstruments,
  type Registration,
} from './lib/metrics/open-telemetry.js'
export type { Attributes } from './lib/metrics/things.js'
