import { createHash } from 'node:crypto'
import { openSync, readSync } from 'node:fs'
import { ShmManager } from '../index.js'

/** Bytes of a chunk; the last one of a pass may be shorter. */
export const CHUNK_BYTES = 1 << 20
/** Bytes of the digest of a chunk. */
export const DIGEST_BYTES = 32

/** Name of the participant that started the others. */
export const MAIN = 'demo'

/** What is to be done; every program gets it as its argument. */
export interface Job {
  /** Domain in which they all meet. */
  domain: string
  file: string
  /** Size of the file. */
  bytes: number
  /** How often the file goes through. */
  passes: number
}

/** Asks the reader for chunks `first` … `first + count - 1`. */
export interface Request {
  first: number
  count: number
}

/** What the collector tells of its progress. */
export interface Progress {
  /** Chunks that are done. */
  done: number
  /** Process that hashed the last of them. */
  hasher: number
}

/** What the collector tells at the end. */
export interface Result {
  /** Digest of all chunk digests, in order. */
  digest: string
  seconds: number
  /** Chunks that the killed process held. */
  lost: number
  askedAgain: number
  /** Chunks that arrived in another buffer than the one the file was read into. */
  copies: number
}

/** Takes part in the domain of `job`, and ends with the main program however that ends. */
export function join(job: Job, name: string): ShmManager {
  const shm = ShmManager.open(job.domain, { name })
  shm.on('participant-lost', (report) => {
    if (report.name === MAIN) process.exit(1)
  })
  return shm
}

/** Number of chunks of all passes together. */
export function chunksOf({ bytes, passes }: Job): number {
  return Math.ceil(bytes / CHUNK_BYTES) * passes
}

/** A function that reads chunk `index` of the job into memory it is given, and returns its length in bytes. */
export function openChunks({ file, bytes }: Job): (index: number, target: Uint8Array) => number {
  const fd = openSync(file, 'r')
  const chunks = Math.ceil(bytes / CHUNK_BYTES)
  return (index, target) => {
    const position = (index % chunks) * CHUNK_BYTES
    const length = Math.min(CHUNK_BYTES, bytes - position)
    const got = readSync(fd, target, 0, length, position)
    if (got !== length) throw new Error(`${file} changed: ${got} of ${length} bytes at ${position}`)
    return length
  }
}

/** SHA-256 of `bytes`. */
export function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}

/** What the collector arrives at, computed from the file alone. */
export function digestOfFile(job: Job): string {
  const readChunk = openChunks(job)
  const chunk = Buffer.alloc(CHUNK_BYTES)
  const pass = Array.from({ length: chunksOf(job) / job.passes }, (_, index) =>
    digestOf(chunk.subarray(0, readChunk(index, chunk))),
  )
  return digestOf(Buffer.concat(Array.from({ length: job.passes }, () => pass).flat())).toString('hex')
}
