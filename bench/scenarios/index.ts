import type { Scenario } from '../lib/row.js'
import { allocation } from './allocate.js'
import { copied } from './copied.js'
import { copies } from './copies.js'
import { fillRead } from './fill-read.js'
import { doraLinks } from './flow-dora.js'
import { flowJs } from './flow-js.js'
import { flows } from './flow.js'
import { handedOver } from './handover.js'
import { idle } from './idle.js'
import { opening } from './open.js'
import { recovery } from './recovery.js'
import { roundTrip } from './round-trip.js'
import { rustCore } from './rust.js'
import { schedule } from './schedule.js'
import { seeds } from './seeds.js'
import { shapes } from './shapes.js'

/** Every scenario, in the order in which they run: a new one is a file beside this one and a line here. */
export const scenarios: readonly Scenario[] = [
  roundTrip,
  copied,
  copies,
  handedOver,
  fillRead,
  shapes,
  seeds,
  schedule,
  flowJs,
  allocation,
  opening,
  recovery,
  idle,
  rustCore,
  flows,
  doraLinks,
]
