import test from 'ava'
import { COPIES } from '../../lib/native/native.js'

/** A test of what only holds where JavaScript sees shared memory itself. */
export const testMapped = COPIES ? test.skip : test
