import { atLeast, comparedTo, noMoreThan, type Row, type Scenario } from '../lib/row.js'
import { futureSdr, rust } from '../lib/rust.js'
import { ONE_TO_ONE, THREE_TO_ONE } from './seeds.js'

/** Buffers a second of the system that Millrace comes from in one process, where it was built and measured: 54 to 97 thousand. */
const ORIGIN_LOCAL = 97_000
/** Both schedulers of a pipe have as many. */
const THREADS = 2

/** Native blocks, which a scheduler runs. */
export const flows: Scenario = {
  name: 'flow',
  title: 'native blocks beside those of FutureSDR, within and across processes',
  rows: ({ quick }) =>
    quick
      ? [across('flow-across', 'one source, one sink', ONE_TO_ONE, 1)]
      : [
          local,
          across('flow-across', 'one source, one sink', ONE_TO_ONE, 1),
          across('flow-across-3-1', 'three sources, one sink', THREE_TO_ONE, 3),
          ...[1, 4].flatMap((pipes) => [2, 6, 20].map((stages) => copies(pipes, stages))),
          ...[1, 4].flatMap((pipes) => [2, 6, 20].map((stages) => messages(pipes, stages))),
          workCall,
          idle,
        ],
}

const local: Row = {
  id: 'flow-local',
  title: '1 KiB, NullSource to NullSink in one process',
  unit: 'msg/s',
  better: 'higher',
  contenders: [1, 2].map((threads) =>
    rust(`Millrace, ${threads === 1 ? 'one thread' : 'two threads'}`, ['flow', 'local', '--threads', `${threads}`]),
  ),
  targets: [comparedTo(ORIGIN_LOCAL, 10, 'higher', '≥ 10 × the 97 k buffers/s of the origin')],
}

function across(id: string, which: string, figure: number, producers: number): Row {
  return {
    id,
    title: `1 KiB, NullSource to NullSink of other processes: ${which}`,
    unit: 'msg/s',
    better: 'higher',
    contenders: [rust('Millrace', ['flow', 'across', '--producers', `${producers}`])],
    targets: [comparedTo(figure, 20_000, 'higher', `≥ 20 000 × the ${figure} buffers/s of the origin's report`)],
  }
}

function copies(pipes: number, stages: number): Row {
  const args = ['copies', ...form(pipes, stages, 8192)]
  return {
    id: `flow-copies-${pipes}-${stages}`,
    title: `pieces of 8 KiB through ${nameOf(pipes)} of ${stages} blocks that copy, ${THREADS} threads`,
    unit: 'msg/s',
    better: 'higher',
    contenders: [rust('Millrace', ['flow', ...args]), futureSdr(args)],
    targets: [atLeast(1, 'FutureSDR')],
  }
}

function messages(pipes: number, stages: number): Row {
  const args = ['messages', ...form(pipes, stages, 64)]
  return {
    id: `flow-messages-${pipes}-${stages}`,
    title: `messages through ${nameOf(pipes)} of ${stages} blocks that hand them on, ${THREADS} threads`,
    unit: 'msg/s',
    better: 'higher',
    contenders: [rust('Millrace', ['flow', ...args]), futureSdr(args)],
    targets: [atLeast(1, 'FutureSDR')],
  }
}

function form(pipes: number, stages: number, bytes: number): string[] {
  const options = { pipes, stages, bytes, threads: THREADS }
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`])
}

function nameOf(pipes: number): string {
  return pipes === 1 ? 'one pipe' : `${pipes} pipes`
}

const workCall: Row = {
  id: 'flow-work-call',
  title: 'CPU time of a call of work that sends or takes one message of 64 B',
  unit: 'ns',
  better: 'lower',
  contenders: [rust('Millrace', ['flow', 'work', '--threads', '1'])],
}

const idle: Row = {
  id: 'flow-idle',
  title: 'CPU time of a scheduler whose blocks wait',
  unit: '% of a core',
  better: 'lower',
  contenders: [rust('Millrace', ['flow', 'idle'])],
  targets: [noMoreThan(0.3, '0.3 % of a core')],
}
