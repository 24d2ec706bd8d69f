import type { Scenario } from '../lib/row.js'
import { copied } from './copied.js'
import { fillRead } from './fill-read.js'
import { handedOver } from './handover.js'
import { roundTrip } from './round-trip.js'

/** Every scenario, in the order in which they run: a new one is a file beside this one and a line here. */
export const scenarios: readonly Scenario[] = [roundTrip, copied, handedOver, fillRead]
