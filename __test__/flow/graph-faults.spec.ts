// What validateFlow finds: each fault provoked, with its text, its place and the names of block and port.
import test from 'ava'
import type { FlowFault } from '../../flow.js'
import { Flow, parseFlow, validateFlow } from '../../flow.js'
import { openDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

const BLOCKS = '../fixtures/flow-blocks.js'
const base = import.meta.url

const SOUND = `
millrace: 1
name: sound
domain: { maxBytes: 1MiB }
scheduler: { threads: 2 }
blocks:
  - { name: read, class: VerifySource, settings: { size: 1KiB, count: 10 } }
  - { name: copy, class: Copy, process: far }
  - { name: check, class: VerifySink, settings: { strict: true } }
links:
  - { from: read.out, to: copy.in, capacity: 4 }
  - { from: copy.out, to: check.in }
processes: { far: { restart: always } }
`.trimStart()

/** SOUND with other words in it. */
function changed(...changes: readonly (readonly [string, string])[]): string {
  return changes.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`no ${from}`)
    return text.replace(from, to)
  }, SOUND)
}

/** Faults as `line:column: message`. */
async function faultsOf(text: string): Promise<string[]> {
  const faults = await validateFlow(text, { base })
  return faults.map(({ line, column, message }) => `${line}:${column}: ${message}`)
}

test('a sound flow has no faults, as text and as data', async (t) => {
  t.deepEqual(await validateFlow(SOUND), [])
  t.deepEqual(await validateFlow(parseFlow(SOUND)), [])
})

const FAULTS: [what: string, changes: (readonly [string, string])[], ...faults: string[]][] = [
  ['another version', [['millrace: 1', 'millrace: 2']], '1:1: millrace must be 1, not 2'],
  ['no name', [['name: sound\n', '']], '1:1: the flow lacks "name"'],
  [
    'a name that no queue can have',
    [['name: sound', 'name: so und']],
    '2:1: name must be a name: 1 to 63 letters, digits, ".", "_" or "-", beginning with a letter or digit, not "so und"',
  ],
  [
    'an unknown key',
    [['name: sound', 'name: sound\nowner: me']],
    '3:1: the flow has no "owner"; it can have "millrace", "name", "domain", "scheduler", "blocks", "links", "processes"',
  ],
  [
    'a limit of the scheduler',
    [['threads: 2', 'threads: 0']],
    '4:14: scheduler.threads must be a whole number from 1 to 256, not 0',
  ],
  [
    'a size of the domain',
    [['maxBytes: 1MiB', 'maxBytes: 1 MB a lot']],
    `3:11: domain.maxBytes must be a number of bytes from 1048576 to 137371844608, or text such as "512MiB", not "1 MB a lot"`,
  ],
  [
    'a class that there is not',
    [['VerifySink, settings: { strict: true }', 'VerifySnk']],
    '8:20: class of block "check" must be one of "Copy", "FileSink", "FileSource", "Gain", "Head", "Join", "Merge", "NullSink", "NullSource", "Split", "Throttle", "VerifySink", "VerifySource", not "VerifySnk"',
  ],
  ['a block of nothing', [[', class: Copy', '']], '7:5: block "copy" must have one of "class", "module" and "closure"'],
  [
    'a block of two things',
    [['class: Copy', 'class: Copy, module: x']],
    '7:5: block "copy" must have one of "class", "module" and "closure"',
  ],
  ['an export of no module', [['class: Copy', 'class: Copy, export: x']], '7:5: block "copy" lacks "module"'],
  ['settings that are needed', [[', settings: { size: 1KiB, count: 10 }', '']], '6:5: block "read" lacks "settings"'],
  ['a setting that is needed', [['size: 1KiB, ', '']], '6:40: settings of block "read" lacks "size"'],
  [
    'a setting beyond its limits',
    [['count: 10', 'count: 0']],
    '6:64: settings.count of block "read" must be a whole number from 1, not 0',
  ],
  [
    'a setting that there is not',
    [['count: 10', 'cuont: 10']],
    '6:64: settings of block "read" has no "cuont"; it can have "count", "interval", "size", "source"',
  ],
  [
    'settings that do not go together',
    [['class: Copy', 'class: Join, settings: { policy: window }']],
    `7:5: block "copy": setting policy of Join is "window", must be given with size, the length of a window`,
  ],
  [
    'a word',
    [['capacity: 4', 'overflow: burst']],
    '10:36: overflow of link read.out → copy.in must be one of "block", "reject", "drop-oldest", "drop-newest", "latest", not "burst"',
  ],
  [
    'a limit of a link',
    [['capacity: 4', 'capacity: 0']],
    '10:36: capacity of link read.out → copy.in must be a whole number from 1 to 1048576, not 0',
  ],
  [
    'a link without end',
    [[', to: check.in', '']],
    '11:5: links[1] lacks "to"',
    '8:5: input "in" of block "check" is linked to nothing',
    '7:5: output "out" of block "copy" is linked to nothing',
  ],
  [
    'an option of a process',
    [['restart: always', 'restart: often']],
    '12:21: restart of process "far" must be one of "never", "on-failure", "always", not "often"',
  ],
  ['a process that no block is in', [[', process: far', '']], '12:14: no block is in process "far"'],
  [
    'a thread that there is not',
    [['process: far', 'process: far, thread: 2']],
    '7:46: thread of block "copy" is 2, must be below 2, the threads of the scheduler',
  ],
  [
    'a message larger than the domain',
    [['size: 1KiB', 'size: 1025KiB']],
    '6:52: size of block "read" is 1049600: its messages need buffers of 2097152 bytes, and maxBytes of the domain is 1048576',
  ],
  [
    'two blocks of one name',
    [
      ['name: check', 'name: copy'],
      ['to: check.in', 'to: copy.in'],
    ],
    '8:7: two blocks have the name "copy"',
    '11:5: links lead in a circle: copy.out → copy.in; mark the one that leads back by "feedback: true"',
  ],
  [
    'a block that there is not',
    [['from: copy.out', 'from: cpoy.out']],
    '11:7: there is no block of port "cpoy.out", which must be "block.port"',
    '7:5: output "out" of block "copy" is linked to nothing',
  ],
  [
    'a port that there is not',
    [['to: check.in', 'to: check.inn']],
    '11:23: block "check" has no input "inn"; it has "in"',
    '8:5: input "in" of block "check" is linked to nothing',
  ],
  [
    'a link to an output',
    [['to: check.in', 'to: read.out']],
    '11:23: block "read" has no input "out"; it has none',
    '8:5: input "in" of block "check" is linked to nothing',
  ],
  [
    'a port that is linked to nothing',
    [['  - { from: copy.out, to: check.in }\n', '']],
    '8:5: input "in" of block "check" is linked to nothing',
    '7:5: output "out" of block "copy" is linked to nothing',
  ],
  [
    'two links of the same ports',
    [['processes:', '  - { from: copy.out, to: check.in }\nprocesses:']],
    '12:5: copy.out and check.in are linked already',
  ],
  [
    'an input that is linked and connected',
    [['class: Copy', 'class: Copy, inputs: { in: queue }']],
    '10:5: copy.in is connected to queue "queue" already',
  ],
  [
    'a queue at a port that there is not',
    [['class: Copy', 'class: Copy, outputs: { outt: [queue] }']],
    '7:43: block "copy" has no output "outt"; it has "out"',
  ],
  [
    'a circle',
    [
      ['processes:', '  - { from: copy.out, to: back.in1 }\n  - { from: back.out, to: copy.in }\nprocesses:'],
      ['  - { name: check', '  - { name: back, class: Merge }\n  - { name: check'],
      ['to: copy.in', 'to: back.in0'],
    ],
    '14:5: links lead in a circle: copy.out → back.in1, back.out → copy.in; mark the one that leads back by "feedback: true"',
  ],
  [
    'a link back that leads forward',
    [['capacity: 4', 'feedback: true']],
    '10:36: link read.out → copy.in is marked as feedback, and nothing leads from "copy" to "read"',
  ],
  [
    'types that differ',
    [
      ['class: VerifySource, settings: { size: 1KiB, count: 10 }', `module: ${BLOCKS}, export: numbers`],
      ['class: Copy', `module: ${BLOCKS}, export: words`],
      ['class: VerifySink, settings: { strict: true }', `module: ${BLOCKS}, export: collect`],
    ],
    '11:5: copy.out sends "text" (codec "json"), check.in takes "number" (codec "json")',
  ],
  [
    'a module that there is not',
    [['class: Copy', 'module: ./none.js']],
    '7:5: module "./none.js" of block "copy" cannot be imported: Cannot find module',
  ],
  [
    'code of a program',
    [['class: Copy', 'closure: MapBlock']],
    '7:5: block "copy" is code of the program that has made it (MapBlock): give it by "module" and "export"',
  ],
  [
    'errors that a block cannot recover from',
    [
      ['class: VerifySource, settings: { size: 1KiB, count: 10 }', `module: ${BLOCKS}, export: numbers`],
      ['class: Copy', `module: ${BLOCKS}, export: Sum, onError: skip`],
      ['class: VerifySink, settings: { strict: true }', `module: ${BLOCKS}, export: collect`],
    ],
    '7:5: onError of block "copy" is for map, filter and sink: this one, of class Sum, fails as a whole, so it has to catch errors in its work()',
  ],
  [
    'replicas of a source',
    [['class: VerifySource, settings: { size: 1KiB, count: 10 }', `module: ${BLOCKS}, export: numbers, replicas: 2`]],
    '6:5: block "read" has no inputs: its replicas would all send the same',
  ],
  [
    'replicas by key of what comes from a queue',
    [
      [
        'class: Copy, process: far',
        `module: ${BLOCKS}, export: scale, replicas: 2, partitionBy: lastDigit, inputs: { in: raw }`,
      ],
      ['  - { from: read.out, to: copy.in, capacity: 4 }\n', '  - { from: read.out, to: check.in }\n'],
      ['processes: { far: { restart: always } }', ''],
    ],
    '7:117: partitionBy of block "copy" divides what comes by links, and copy.in is connected to queue "raw"',
  ],
  [
    'replicas that differ in one process',
    [
      ['class: Copy, process: far', `module: ${BLOCKS}, export: scale, replicas: 2, process: far`],
      [
        'class: VerifySink, settings: { strict: true }',
        `module: ${BLOCKS}, export: collect, replicas: 3, process: far`,
      ],
    ],
    '8:5: blocks of one process have as many replicas: "check" in process "far" has 3, "copy" 2',
  ],
  [
    'a link whose options differ from those of the link whose queue it shares',
    [['processes:', '  - { from: read.out, to: check.in, capacity: 8 }\nprocesses:']],
    '12:5: capacity of link read.out → check.in is 8, and of copy.out → check.in, whose queue it shares, 1024',
  ],
  ['a key twice', [['name: sound', 'name: sound\nname: again']], '3:1: the text is no YAML: Map keys must be unique'],
  [
    'no YAML',
    [['links:', 'links: [']],
    '10:3: the text is no YAML: Block collections are not allowed within flow collections',
    '12:1: the text is no YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
]

for (const [what, changes, ...expected] of FAULTS) {
  test(`a fault is found: ${what}`, async (t) => {
    const faults = await faultsOf(changed(...changes))
    // What Node.js says of a module goes on with paths of this machine.
    const told = faults.map((fault, at) =>
      expected[at]?.endsWith('module') ? fault.slice(0, expected[at].length) : fault,
    )
    t.deepEqual(told.toSorted(), expected.toSorted())
  })
}

test('all faults are found at once, in the order of the text, with block and port', async (t) => {
  const text = changed(['threads: 2', 'threads: no'], ['size: 1KiB', 'size: 1'], ['to: check.in', 'to: check.out'])
  const faults = await validateFlow(text)
  t.deepEqual(
    faults.map(({ line, path, block, port }: FlowFault) => [line, path.join('.'), block, port]),
    [
      [4, 'scheduler.threads', undefined, undefined],
      [6, 'blocks.0.settings.size', 'read', undefined],
      [8, 'blocks.2', 'check', 'check.in'],
      [11, 'links.1.to', 'check', 'check.out'],
    ],
  )
  const { message } = await rejectsCode(t, Flow.fromJSON(openDomain(t), text), 'ERR_MILLRACE_INVALID_ARGUMENT')
  t.regex(message, /^flow "sound" has 4 faults:\n {2}4:14: .*\n {2}6:52: .*\n {2}8:5: .*\n {2}11:23: /)
})

test('faults of data have no line', async (t) => {
  const [fault] = await validateFlow({ ...parseFlow(SOUND), processes: { far: {}, near: {} } })
  t.deepEqual(fault, { message: 'no block is in process "near"', path: ['processes', 'near'] })
})

test('a message must fit in the domain that a flow is made in', async (t) => {
  const shm = openDomain(t, { maxBytes: '1MiB' })
  const large = parseFlow(changed(['maxBytes: 1MiB', 'maxBytes: 1GiB'], ['size: 1KiB', 'size: 2MiB']))
  await rejectsCode(t, Flow.fromJSON(shm, large), 'ERR_MILLRACE_INVALID_ARGUMENT', 'maxBytes of the domain is 1048576')
})

for (const nonsense of [
  '5',
  'null',
  '[]',
  'blocks: 5',
  'blocks: [5, null, {}]',
  'links: [5, null]',
  'processes: []',
  '{ blocks: { a: 1 }, links: {} }',
]) {
  test(`what is no flow at all has faults: ${nonsense}`, async (t) => {
    t.true((await validateFlow(nonsense)).length > 0)
  })
}

test('a text that is no flow is refused with its place', (t) => {
  throwsCode(t, () => parseFlow('a: [1'), 'ERR_MILLRACE_INVALID_ARGUMENT', '1:6: the text is no YAML')
  throwsCode(t, () => parseFlow(''), 'ERR_MILLRACE_INVALID_ARGUMENT', 'the text of a flow')
  const names = Array.from({ length: 9 }, (_, at) => `x${at}`)
  const bomb = names.map(
    (name, at) =>
      `${name}: &${name} [${Array(9)
        .fill(at === 0 ? '1' : `*${names[at - 1]}`)
        .join()}]`,
  )
  throwsCode(t, () => parseFlow(bomb.join('\n')), 'ERR_MILLRACE_INVALID_ARGUMENT', 'Excessive alias count')
})
