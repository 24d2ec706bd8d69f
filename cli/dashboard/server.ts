// The HTTP server of the dashboard: one page, one stream of events, and what the page asks for. It only reads.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { refusalOf } from './access.js'
import { graphOf } from './graph.js'
import { type Page, readPage } from './page-file.js'
import type { Events } from './protocol.js'
import type { Watch } from './watch.js'

/** Reached from this machine alone. */
const HOST = '127.0.0.1'
/** A browser that has lost the stream tries again after so long, in ms. */
const RETRY_MS = 1000
/** A page has two. */
const CONNECTIONS_MAX = 64

const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}

/** Serves what `watch` sees until it is closed. */
export class DashboardServer {
  readonly #watch: Watch
  readonly #page: Page = readPage()
  readonly #token = randomBytes(24).toString('base64url')
  readonly #server: Server

  private constructor(watch: Watch) {
    this.#watch = watch
    this.#server = createServer((request, response) => this.#answer(request, response))
    this.#server.maxConnections = CONNECTIONS_MAX
  }

  /** Listens on `port`; 0: on one that is free. Rejects with the error of the system when it cannot. */
  static async listen(watch: Watch, port: number): Promise<DashboardServer> {
    const dashboard = new DashboardServer(watch)
    dashboard.#server.listen(port, HOST)
    await once(dashboard.#server, 'listening')
    return dashboard
  }

  /** Where the page is, with the token. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `http://${HOST}:${port}/?token=${this.#token}`
  }

  /** Ends all connections. Resolves when nothing is left of them. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const base = `http://${HOST}`
    const url = URL.canParse(request.url ?? '', base) ? new URL(request.url ?? '', base) : new URL(base)
    const refusal = refusalOf(request, url, this.#token)
    if (refusal !== null) return refuse(response, refusal)
    const { pathname, searchParams } = url
    switch (pathname) {
      case '/':
        return send(response, 'text/html', this.#page.html, { 'Content-Security-Policy': this.#page.policy })
      case '/events':
        return this.#stream(request, response)
      case '/history':
        return sendJson(response, this.#watch.history.chart(searchParams.get('of') ?? ''))
      case '/graph':
        return sendJson(response, graphOf(this.#watch.last.view, searchParams.get('of') ?? ''))
      default:
        return refuse(response, `There is nothing at ${JSON.stringify(pathname)}.`)
    }
  }

  #stream(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { ...HEADERS, 'Content-Type': 'text/event-stream' })
    if (request.method === 'HEAD') {
      response.end()
      return
    }
    response.write(`retry: ${RETRY_MS}\n\n`)
    let leave: (() => void) | undefined
    const join = (): void => {
      leave = this.#watch.join((events) => {
        if (!response.writableNeedDrain) {
          response.write(textOf(events))
          return
        }
        // Who does not read is told nothing more, so that nothing piles up, and all that there is when it reads again.
        leave?.()
        response.once('drain', join)
      })
    }
    response.once('close', () => leave?.())
    join()
  }
}

/** Events as they go over the stream. */
function textOf(events: Partial<Events>): string {
  return Object.entries(events)
    .map(([name, data]) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
    .join('')
}

function send(response: ServerResponse, type: string, content: string, headers: Record<string, string> = {}): void {
  response.writeHead(200, { ...HEADERS, ...headers, 'Content-Type': `${type}; charset=utf-8` }).end(content)
}

function sendJson(response: ServerResponse, value: unknown): void {
  send(response, 'application/json', JSON.stringify(value))
}

function refuse(response: ServerResponse, sentence: string): void {
  response
    .writeHead(403, { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' })
    .end(`${sentence}\n`)
}
