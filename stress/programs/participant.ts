// A participant: sends, receives, makes and destroys, asks and answers, as it is asked to.
import { openSync } from 'node:fs'
import { jobOf, serve as serveRequests } from '../../bench/lib/control.js'
import { Ends } from '../lib/end.js'
import type { Look, ParticipantJob, SendJob, Ways } from '../lib/jobs.js'
import { possessionsOf } from '../lib/possessions.js'
import * as lives from '../roles/lives.js'
import { messagesOf, receive } from '../roles/receive.js'
import * as requests from '../roles/requests.js'
import { send } from '../roles/send.js'

const LEAKED_MIB = 400
const LEAKED_DESCRIPTORS = 200

const job = jobOf<ParticipantJob>()
const { fault } = job
const ends = new Ends(job)
const over = new AbortController()
const goesOn = () => !over.signal.aborted
let messages = 0
const counted = () => {
  messages++
  leak()
}
const inbound = new Map<string, AsyncIterable<Uint8Array>>()
const kept: unknown[] = []
/** When the first message was counted: until then others may have been waited for, for as long as a run takes. */
let started: number | undefined

serveRequests(
  {
    send: (what: SendJob) => send(ends, what, goesOn, counted),
    /** Is there from now on: for topics, which have messages only for who has subscribed. */
    attach({ kind, names, capacity }: Ways) {
      const opened = new Map(names.map((name) => [name, ends.open(kind, name, capacity)]))
      for (const [name, source] of messagesOf(opened)) inbound.set(name, source)
    },
    receive: () => receive(inbound, counted, fault),
    make: ({ names, maker }: { names: string; maker: number }) => lives.make(ends, names, maker, goesOn),
    destroy: (names: string) => lives.destroy(ends, ends.sageValues<string>(names), counted, fault),
    serve: (name: string) => requests.serve(ends.shm, name, over.signal, counted, fault),
    ask: ({ name, client }: { name: string; client: number }) => requests.ask(ends.shm, name, client, goesOn),
    stop: () => over.abort(),
    look,
  },
  () => ends.close(),
)

if (fault === 'hold') kept.push(ends.shm.allocate(100))
/** Leaks what is due by now, of so much in the whole run. */
function leak(): void {
  started ??= performance.now()
  const due = (performance.now() - started) / (job.seconds * 1e3)
  if (fault === 'memory') while (kept.length < due * LEAKED_MIB) kept.push(Buffer.alloc(2 ** 20, 1))
  if (fault === 'descriptors') while (kept.length < due * LEAKED_DESCRIPTORS) kept.push(openSync('/dev/null', 'r'))
}

function look(): Look {
  return { messages, rssBytes: process.memoryUsage.rss(), descriptors: null, ...possessionsOf(process.pid) }
}
