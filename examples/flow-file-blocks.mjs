// The blocks of flow-file.yaml: each export makes one of its settings and its name.
import { bytes, map, source, type } from 'millrace/flow'

const line = type('json', { name: 'line' })
const celsius = type('msgpack', { name: 'celsius' })

export const lines = ({ count, badEvery }, name) =>
  source(name, { out: line }, async function* ({ signal }) {
    for (let i = 0; i < count && !signal.aborted; i++) yield i % badEvery === 0 ? 'noise' : `sensor${i % 3} ${i % 40}`
  })

export const parse = (_settings, name) =>
  map(name, line, celsius, (text) => {
    const [, degrees] = /^\w+ (\d+)$/.exec(text) ?? []
    if (degrees === undefined) throw new Error(`no reading: ${text}`)
    return Number(degrees)
  })

export const pack = (_settings, name) =>
  map(name, celsius, bytes, (value) => new Uint8Array(Float32Array.of(value).buffer))
