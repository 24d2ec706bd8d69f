/**
 * What tests of programs need that use Millrace: domains of their own, references that nobody released, and other processes that do what they
 * are told.
 * @module millrace/testing
 */
export { type Held, LeakError } from './lib/testing/leak-error.js'
export { Peer, type PeerEnd } from './lib/testing/peer.js'
export type { Moment } from './lib/testing/peer-protocol.js'
export { TestDomain, type TestDomainOptions } from './lib/testing/test-domain.js'
export type { HeldReference } from './lib/session/own-views.js'
