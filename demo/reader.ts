// Reads chunks of the file, as they are asked for, straight into shared memory.
import { CHUNK_BYTES, type Job, join, openChunks, type Request } from './job.js'

const job = JSON.parse(process.argv[2]!) as Job
const readChunk = openChunks(job)

using shm = join(job, 'reader')
const chunks = shm.portQueue('chunks')

for await (const request of shm.portQueue('requests')) {
  const { first, count } = request.json<Request>()
  for (let index = first; index < first + count; index++) {
    using chunk = await shm.allocateAsync(CHUNK_BYTES)
    chunk.length = readChunk(index, chunk.bytes)
    chunk.sequence = BigInt(index)
    chunk.timestamp = process.hrtime.bigint()
    await chunks.send(chunk)
  }
}
chunks.close()
