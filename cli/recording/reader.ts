import { createReadStream } from 'node:fs'
import { UsageError } from '../command.js'
import type { Header } from './header.js'
import { HEADERS, loadMcap, type McapTypes, PROFILE } from './mcap.js'

/** A message of a recording. */
export interface Played {
  readonly bytes: Uint8Array
  readonly header: Header
  /** When it was recorded, in ns since the Unix epoch. */
  readonly at: bigint
}

/** How a recording is. */
export interface Completeness {
  /** Messages that passed when it was made, and are not in it; null: it does not say. */
  missed: number | null
  /** Why there is no more of the file; null: it was read to its end. */
  cut: string | null
}

/** A recording that is being read. */
export class RecordingReader {
  /** Codec of what was recorded; known from the first message on. */
  codec = 'bytes'
  readonly is: Completeness = { missed: null, cut: null }
  readonly #path: string
  readonly #headers = new Map<number, Header>()
  #messages: number | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** Its messages in their order, up to where the file ends. @throws {@link UsageError} it is no recording */
  async *messages(): AsyncGenerator<Played> {
    const { McapStreamReader } = loadMcap()
    const reader = new McapStreamReader()
    let records = 0
    try {
      for await (const part of createReadStream(this.#path)) {
        reader.append(part as Buffer)
        for (let record = reader.nextRecord(); record !== undefined; record = reader.nextRecord()) {
          records++
          const message = this.#take(record)
          if (message !== undefined) yield message
        }
      }
    } catch (error) {
      if (error instanceof UsageError) throw error
      if (records === 0) throw new UsageError(`cannot read ${JSON.stringify(this.#path)}: ${(error as Error).message}`)
      this.is.cut = `it is damaged: ${(error as Error).message}`
      return
    }
    if (this.#messages === undefined) throw this.#noRecording()
    if (!reader.done()) this.is.cut = 'it is cut off'
  }

  #take(record: McapTypes.TypedMcapRecord): Played | undefined {
    if (record.type === 'Header' && record.profile !== PROFILE) throw this.#noRecording()
    if (record.type === 'Metadata' && record.name === PROFILE) this.is.missed = Number(record.metadata.get('missed'))
    if (record.type === 'Channel' && !record.topic.endsWith(HEADERS)) {
      this.#messages = record.id
      this.codec = record.metadata.get('codec') ?? 'bytes'
    }
    if (record.type !== 'Message') return undefined
    const { channelId, sequence, data, logTime } = record
    if (channelId !== this.#messages) {
      this.#headers.set(sequence, JSON.parse(Buffer.from(data).toString()) as Header)
      return undefined
    }
    const header = this.#headers.get(sequence) ?? {}
    this.#headers.delete(sequence)
    return { bytes: data, header, at: logTime }
  }

  #noRecording(): UsageError {
    return new UsageError(`${JSON.stringify(this.#path)} is no recording of millrace record`)
  }
}
