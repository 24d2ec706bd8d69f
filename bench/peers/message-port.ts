import type { MessagePort, Worker } from 'node:worker_threads'
import { post } from '../lib/control.js'
import type { End, Link, Transport } from './transport.js'

/** A worker thread of the same process, by `postMessage`: a structured clone. */
export const messagePortCopy: Transport = {
  name: 'MessagePort, copy (threads)',
  place: 'worker',
  near: async (link) => open(link, (message) => post(link.channel, message)),
  far: async (link) => open(link, (message) => post(link.channel, message)),
}

/** The same, with the bytes copied into an ArrayBuffer of their own that is transferred. */
export const messagePortTransfer: Transport = {
  name: 'MessagePort, transfer (threads)',
  place: 'worker',
  near: async (link) => open(link, (message) => transfer(link, message)),
  far: async (link) => open(link, (message) => transfer(link, message)),
}

function transfer({ channel }: Link, message: Uint8Array): void {
  const copy = new Uint8Array(message)
  post(channel, copy, [copy.buffer])
}

/**
 * A port has no backpressure. What is out there is bounded by an acknowledgement, the number of messages received, for each
 * half of what may be out.
 */
const IN_FLIGHT_BYTES = 64 * 2 ** 20

function open({ channel, bytes }: Link, send: (message: Uint8Array) => void): End {
  const windowSize = Math.max(2, Math.min(1024, Math.floor(IN_FLIGHT_BYTES / bytes)))
  const port = channel as MessagePort | Worker
  let outstanding = 0
  let received = 0
  let resume: (() => void) | undefined
  port.on('message', (data: unknown) => {
    if (typeof data !== 'number') return
    outstanding -= data
    resume?.()
    resume = undefined
  })
  return {
    send(message) {
      send(message)
      if (++outstanding < windowSize) return undefined
      return new Promise<void>((resolve) => (resume = resolve))
    },
    receive(handler) {
      port.on('message', (data: unknown) => {
        if (!(data instanceof Uint8Array)) return
        handler(data)
        if (++received < windowSize / 2) return
        post(channel, received)
        received = 0
      })
    },
    close: () => {},
  }
}
