// Who may ask: whoever knows the token, on this machine, and no page of another site that a browser has open.
import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const PRINTED = 'Open the address that millrace dashboard has printed.'
/** A name that is another machine's, or is made to be this one's by whoever owns it, is none of these. */
const LOOPBACK = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/

/** Why `request` for `url` is refused, in a sentence; null: it is not. */
export function refusalOf({ method = '', headers }: IncomingMessage, url: URL, token: string): string | null {
  const { host = '', origin } = headers
  if (!LOOPBACK.test(host)) return `${JSON.stringify(host)} is no name of this machine. ${PRINTED}`
  if (origin !== undefined && origin !== `http://${host}`) {
    return `Pages of ${JSON.stringify(origin)} may not ask here. ${PRINTED}`
  }
  if (method !== 'GET' && method !== 'HEAD') return `Nothing can be changed here: GET is answered, not ${method}.`
  return isSame(url.searchParams.get('token') ?? '', token) ? null : `The token is missing or wrong. ${PRINTED}`
}

/** Takes as long whatever is different. */
function isSame(given: string, token: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(token)]
  return one.length === other.length && timingSafeEqual(one, other)
}
