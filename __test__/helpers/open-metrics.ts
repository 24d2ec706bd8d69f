// Reads the text format of OpenMetrics as its specification has it, and refuses whatever else.

/** A metric family. */
export interface Family {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly unit: string | null
  readonly samples: Sample[]
}

/** One value. */
export interface Sample {
  readonly name: string
  readonly labels: Record<string, string>
  readonly value: number
}

const LINE = {
  type: /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge)$/,
  unit: /^# UNIT ([a-zA-Z_:][a-zA-Z0-9_:]*) ([a-z]+)$/,
  help: /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\"\n]|\\[\\"n])*)$/,
  sample: /^([a-zA-Z_:][a-zA-Z0-9_:]*)\{(.*)\} (\d+(?:\.\d+)?(?:e\+\d+)?)$/,
}
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^\\"\n]|\\[\\"n])*)"(,(?=.)|$)/y

/** The families of `text`. */
export function familiesIn(text: string): Family[] {
  const lines = text.split('\n')
  if (lines.pop() !== '' || lines.pop() !== '# EOF') throw new Error('it does not end with "# EOF" and a line feed')
  const families = new Map<string, Family>()
  let last: { -readonly [K in keyof Family]: Family[K] } | undefined
  const seen = new Set<string>()
  for (const line of lines) {
    const [, begun, type] = LINE.type.exec(line) ?? []
    if (begun !== undefined) {
      if (families.has(begun)) throw new Error(`a second family: ${line}`)
      last = { name: begun, type: type!, help: '', unit: null, samples: [] }
      families.set(begun, last)
      continue
    }
    if (last === undefined) throw new Error(`of no family: ${line}`)
    const [, measured, unit] = LINE.unit.exec(line) ?? []
    const [, described, help] = LINE.help.exec(line) ?? []
    const about = measured ?? described
    if (about !== undefined) {
      if (about !== last.name || last.samples.length > 0) throw new Error(`out of place: ${line}`)
      if (unit !== undefined && !about.endsWith(`_${unit}`)) throw new Error(`not its unit: ${line}`)
      if (unit !== undefined) last.unit = unit
      else last.help = unescaped(help!)
      continue
    }
    const [, name, labels, value] = LINE.sample.exec(line) ?? []
    if (name !== (last.type === 'counter' ? `${last.name}_total` : last.name)) throw new Error(`no sample: ${line}`)
    const sample = { name, labels: labelsIn(labels!), value: Number(value) }
    const names = Object.keys(sample.labels).toSorted((one, other) => one.localeCompare(other))
    const key = JSON.stringify([name, ...names.map((label) => [label, sample.labels[label]])])
    if (seen.has(key)) throw new Error(`a second time: ${line}`)
    seen.add(key)
    last.samples.push(sample)
  }
  return [...families.values()]
}

function labelsIn(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < text.length) {
    const at = LABEL.lastIndex
    const [, name, value] = LABEL.exec(text) ?? []
    if (name === undefined || name in labels) throw new Error(`no labels: ${text.slice(at)}`)
    labels[name] = unescaped(value!)
  }
  return labels
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one))
}
