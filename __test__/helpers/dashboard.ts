// `millrace dashboard` as browsers ask it.
import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { createInterface } from 'node:readline'
import type { ExecutionContext } from 'ava'
import type { Events, LogEntry } from '../../cli/dashboard/protocol.js'
import { sendSignal } from '../../lib/send-signal.js'
import { type Running, startMillrace } from './cli.js'

/** An answer. */
export interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

/** Of a request. */
export interface Asking {
  readonly method?: string
  readonly headers?: Record<string, string>
}

/** What is at `url`, all of it. */
export async function ask(url: URL | string, { method = 'GET', headers = {} }: Asking = {}): Promise<Answer> {
  const response = await answerTo(request(url, { method, headers, agent: false }).end())
  const chunks = await response.toArray()
  return { status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() }
}

async function answerTo(sent: ClientRequest): Promise<IncomingMessage> {
  const [response] = await once(sent, 'response')
  return response as IncomingMessage
}

/** The stream of events, from its beginning. */
export class EventStream {
  /** All entries of the log so far. */
  readonly log: LogEntry[] = []
  readonly #events: AsyncGenerator<Partial<Events>>
  readonly #sent: ClientRequest

  private constructor(sent: ClientRequest, response: IncomingMessage) {
    this.#sent = sent
    this.#events = eventsIn(response)
  }

  /** Opens it. */
  static async open(url: URL): Promise<EventStream> {
    const sent = request(new URL(`/events${url.search}`, url), { agent: false }).end()
    return new EventStream(sent, await answerTo(sent))
  }

  /** The next one that has `name` and is right. */
  async next<E extends keyof Events>(name: E, isRight: (data: Events[E]) => boolean = () => true): Promise<Events[E]> {
    for (;;) {
      const { value, done } = await this.#events.next()
      if (done === true) throw new Error('the stream has ended')
      this.log.push(...(value.log ?? []))
      const data = value[name]
      if (data !== undefined && isRight(data)) return data
    }
  }

  /** Goes on until the log has an entry of that kind, and returns it. */
  async logged(kind: string): Promise<LogEntry> {
    for (;;) {
      const found = this.log.find((entry) => entry.kind === kind)
      if (found !== undefined) return found
      await this.next('log')
    }
  }

  /** Goes away, as a browser does. */
  close(): void {
    this.#sent.on('error', () => {}).destroy()
  }
}

async function* eventsIn(response: IncomingMessage): AsyncGenerator<Partial<Events>> {
  let name = ''
  for await (const line of createInterface({ input: response, crlfDelay: Infinity })) {
    if (line.startsWith('event: ')) name = line.slice('event: '.length)
    if (line.startsWith('data: ')) yield { [name]: JSON.parse(line.slice('data: '.length)) as unknown }
  }
}

/** The program, and where its page is. */
export interface RunningDashboard extends Running {
  readonly url: URL
}

/** Starts it; ended with the test. */
export async function startDashboard(t: ExecutionContext, ...args: string[]): Promise<RunningDashboard> {
  const running = startMillrace('dashboard', '--json', ...args)
  t.teardown(() => sendSignal(running.process, 'SIGKILL'))
  const [line] = await Promise.race([
    once(running.process.stdout!, 'data'),
    running.ended.then(({ stderr }) => Promise.reject(new Error(`it has ended: ${stderr}`))),
  ])
  return { ...running, url: new URL((JSON.parse(String(line)) as { url: string }).url) }
}
