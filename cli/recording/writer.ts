import { type FileHandle, open } from 'node:fs/promises'
import { type BufferPtr, MillraceError } from '../../index.js'
import { UsageError } from '../command.js'
import { headerOf } from './header.js'
import { HEADERS, loadMcap, type McapRecordBuilder, PROFILE } from './mcap.js'

/** What is recorded. */
export interface Recorded {
  readonly domain: string
  readonly name: string
  readonly kind: 'queue' | 'topic'
  readonly codec: string
}

const MESSAGES = 0
const OF_HEADERS = 1

/**
 * An MCAP file that is being written, without chunks: a message is in the file when {@link Recording.add} resolves, so a file whose writer is
 * killed has all up to that moment.
 */
export class Recording {
  /** Messages in it. */
  count = 0
  readonly #path: string
  readonly #file: FileHandle
  readonly #records: McapRecordBuilder

  private constructor(path: string, file: FileHandle, records: McapRecordBuilder) {
    this.#path = path
    this.#file = file
    this.#records = records
  }

  /** Makes the file, which must not exist. */
  static async create(path: string, { domain, name, kind, codec }: Recorded): Promise<Recording> {
    const { McapRecordBuilder: Records } = loadMcap()
    const recording = new Recording(path, await created(path), new Records())
    const records = recording.#records
    records.writeMagic()
    records.writeHeader({ profile: PROFILE, library: 'millrace record' })
    const encoding = codec === 'bytes' ? 'application/octet-stream' : codec
    const metadata = new Map(Object.entries({ domain, kind, codec }))
    const channel = { schemaId: 0, topic: name, messageEncoding: encoding, metadata }
    records.writeChannel({ id: MESSAGES, ...channel })
    const headers = {
      id: OF_HEADERS,
      topic: name + HEADERS,
      messageEncoding: 'json',
      metadata: new Map<string, string>(),
    }
    records.writeChannel({ ...channel, ...headers })
    await recording.#flush()
    return recording
  }

  /** Writes a message, as of now. */
  async add(message: BufferPtr): Promise<void> {
    const now = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6))
    const about = { sequence: this.count, logTime: now, publishTime: now }
    const header = headerOf(message)
    if (Object.keys(header).length > 0) {
      this.#records.writeMessage({ ...about, channelId: OF_HEADERS, data: Buffer.from(JSON.stringify(header)) })
    }
    this.#records.writeMessage({ ...about, channelId: MESSAGES, data: message.bytes })
    await this.#flush()
    this.count++
  }

  /** Completes the file. */
  async end(missed: number): Promise<void> {
    const metadata = new Map(Object.entries({ recorded: `${this.count}`, missed: `${missed}` }))
    this.#records.writeMetadata({ name: PROFILE, metadata })
    // There are no checksums and no summary.
    this.#records.writeDataEnd({ dataSectionCrc: 0 })
    this.#records.writeFooter({ summaryStart: 0n, summaryOffsetStart: 0n, summaryCrc: 0 })
    this.#records.writeMagic()
    await this.#flush()
    await this.#file.close()
  }

  async #flush(): Promise<void> {
    try {
      await this.#file.writeFile(this.#records.buffer)
    } catch (cause) {
      const message = `cannot write ${JSON.stringify(this.#path)}, which has ${this.count} messages: ${(cause as Error).message}`
      throw new MillraceError('ERR_MILLRACE_IO', message, { cause })
    }
    this.#records.reset()
  }
}

async function created(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx')
  } catch (error) {
    throw new UsageError(`cannot make ${JSON.stringify(path)}: ${(error as Error).message}`)
  }
}
