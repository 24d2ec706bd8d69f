// Loaded before each spec (`ava` in package.json): its domains, and those of the programs that it starts, are in a directory of its own.
// Other specs run at the same time, and whoever opens the first domain in a directory removes what nobody alive is in.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SHM } from '../../lib/testing/traces.js'

// There no two directories have the same inode, one after the other, by which the memory of domains is told apart.
const directory = mkdtempSync(join(existsSync(SHM) ? SHM : tmpdir(), 'millrace-spec-'))
process.env['MILLRACE_DIR'] = directory
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
