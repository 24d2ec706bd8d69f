// The page as the build has made it: one file, whose script and style are allowed by their hashes and nothing else is.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

const FILE = new URL('../../dashboard.html', import.meta.url)

/** What is served. */
export interface Page {
  readonly html: string
  /** Its Content-Security-Policy. */
  readonly policy: string
}

/** Reads it. */
export function readPage(): Page {
  const html = readFileSync(FILE, 'utf8')
  const policy = [
    "default-src 'none'",
    `script-src ${hashesOf('script', html)}`,
    `style-src ${hashesOf('style', html)}`,
    "connect-src 'self'",
    // Its icon.
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]
  return { html, policy: policy.join('; ') }
}

function hashesOf(element: 'script' | 'style', html: string): string {
  const contents = [...html.matchAll(new RegExp(`<${element}[^>]*>(.*?)</${element}>`, 'gs'))].map(([, text]) => text!)
  return contents.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`).join(' ')
}
