// Bytes of messages as the web platform takes them: views of ordinary ArrayBuffers, on every runtime.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { openDomain } from '../helpers/domain.js'
import { testMapped } from '../helpers/mapped.js'

/** A message in the middle of a segment, with bytes that no text has. */
function message(t: ExecutionContext, bytes = Uint8Array.of(255, 216, 0, 219)) {
  const shm = openDomain(t)
  shm.allocate(bytes.length)
  const buffer = shm.allocate(bytes.length)
  buffer.bytes.set(bytes)
  return { expected: bytes, bytes: buffer.bytes }
}

const arrayOf = async (body: { arrayBuffer(): Promise<ArrayBuffer> }) => new Uint8Array(await body.arrayBuffer())

testMapped('they are views of plain ArrayBuffers', (t) => {
  const { bytes } = message(t)
  t.is(Object.prototype.toString.call(bytes.buffer), '[object ArrayBuffer]')
  t.true(bytes instanceof Uint8Array)
  t.true(bytes.byteOffset > 0)
})

test('Response, Request and Blob', async (t) => {
  const { bytes, expected } = message(t)
  t.deepEqual(await arrayOf(new Response(bytes)), expected)
  t.deepEqual(await arrayOf(new Request('http://localhost', { method: 'POST', body: bytes })), expected)
  t.deepEqual(await arrayOf(new Blob([bytes, bytes])), Uint8Array.of(...expected, ...expected))
})

test('the body of a fetch, both ways', async (t) => {
  const { bytes, expected } = message(t)
  const server = createServer((request, response) => request.pipe(response)).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body: bytes })
  t.deepEqual(await arrayOf(response), expected)
})

test('crypto.subtle', async (t) => {
  const { bytes, expected } = message(t)
  const digests = await Promise.all([bytes, expected].map((data) => crypto.subtle.digest('SHA-256', data)))
  t.deepEqual(...(digests as [ArrayBuffer, ArrayBuffer]))
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 128 }, false, ['encrypt', 'decrypt'])
  const algorithm = { name: 'AES-GCM', iv: new Uint8Array(12) }
  const encrypted = await crypto.subtle.encrypt(algorithm, key, bytes)
  t.deepEqual(new Uint8Array(await crypto.subtle.decrypt(algorithm, key, encrypted)), expected)
  crypto.getRandomValues(bytes)
})

const pass = (data: Uint8Array<ArrayBuffer>, through: CompressionStream | DecompressionStream) => {
  const writer = through.writable.getWriter()
  void writer.write(data).then(() => writer.close())
  return arrayOf(new Response(through.readable))
}

test('CompressionStream and DecompressionStream', async (t) => {
  const { bytes, expected } = message(t, new Uint8Array(100_000).fill(7))
  const compressed = await pass(bytes, new CompressionStream('gzip'))
  t.true(compressed.length < 1000)
  t.deepEqual(await pass(compressed, new DecompressionStream('gzip')), expected)
})

test('TextDecoder, TextEncoder and structuredClone', (t) => {
  const { bytes } = message(t, new TextEncoder().encode('Grüße'))
  t.is(new TextDecoder().decode(bytes), 'Grüße')
  t.deepEqual(new TextEncoder().encodeInto('ab', bytes), { read: 2, written: 2 })
  t.is(structuredClone(bytes)[0], 97)
})

const withWebSocket = 'WebSocket' in globalThis ? test : test.skip

withWebSocket('WebSocket.send', async (t) => {
  const { bytes, expected } = message(t)
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket = new WebSocket(`ws://127.0.0.1:${port}`)
  const [request, connection] = (await once(server, 'upgrade')) as [{ headers: Record<string, string> }, Socket]
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
  const accept = createHash('sha1').update(key).digest('base64')
  const head = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade'
  connection.write(`${head}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
  await new Promise((resolve) => socket.addEventListener('open', resolve))
  socket.send(bytes)
  const [frame] = (await once(connection, 'data')) as [Buffer]
  connection.destroy()
  // A binary frame of four bytes, under a mask of four.
  t.deepEqual([frame[0], frame[1]], [0x82, 0x80 | expected.length])
  t.deepEqual(
    frame.subarray(6).map((byte, i) => byte ^ frame[2 + i]!),
    Buffer.from(expected),
  )
})
