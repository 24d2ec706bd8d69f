// Every command: help and completion are made from this list.
import type { Command } from './command.js'
import { bw } from './commands/bw.js'
import { clean } from './commands/clean.js'
import { completion } from './commands/completion.js'
import { dashboard } from './commands/dashboard.js'
import { doctor } from './commands/doctor.js'
import { drain } from './commands/drain.js'
import { evict } from './commands/evict.js'
import { flowGraph } from './commands/flow-graph.js'
import { flowRun } from './commands/flow-run.js'
import { flowValidate } from './commands/flow-validate.js'
import { fsck } from './commands/fsck.js'
import { get } from './commands/get.js'
import { hz } from './commands/hz.js'
import { inspect } from './commands/inspect.js'
import { ls } from './commands/ls.js'
import { put } from './commands/put.js'
import { redrive } from './commands/redrive.js'
import { record } from './commands/record.js'
import { replay } from './commands/replay.js'
import { tap } from './commands/tap.js'
import { top } from './commands/top.js'

/** In the order of the help; one file each. */
export const COMMANDS: readonly Command[] = [
  ls,
  inspect,
  top,
  dashboard,
  fsck,
  doctor,
  clean,
  evict,
  put,
  get,
  drain,
  redrive,
  tap,
  record,
  replay,
  hz,
  bw,
  flowRun,
  flowValidate,
  flowGraph,
  completion,
]
