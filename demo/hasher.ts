// Hashes chunks where they lie. The buffer that brought a chunk carries its digest away, so a chunk is in one place at any
// moment: when this process is killed, the chunks it holds are lost and no others.
import { digestOf, join, type Job } from './job.js'

using shm = join(JSON.parse(process.argv[2]!) as Job, 'hasher')
const digests = shm.portQueue('digests')

for await (const batch of shm.portQueue('chunks').batches({ max: 4 })) {
  for (const chunk of batch) {
    const digest = digestOf(chunk.bytes)
    chunk.length = digest.length
    chunk.bytes.set(digest)
    chunk.source = process.pid
    await digests.send(chunk)
  }
}
