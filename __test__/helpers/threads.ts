// What the threads of a process do, for a test that has failed.
import { readdirSync, readFileSync } from 'node:fs'

/** Each thread of process `pid` with its state, where it waits in the kernel and its system call, as far as Linux tells. */
export function threadsOf(pid: number): string {
  const folder = `/proc/${pid}/task`
  const thread = (id: string): string => {
    const state = /^State:\s*(.*)$/m.exec(read(`${folder}/${id}/status`))?.[1] ?? '?'
    const [name, place, call] = ['comm', 'wchan', 'syscall'].map((file) => read(`${folder}/${id}/${file}`))
    return `  ${id} ${name}: ${state}, in ${place}, system call ${call!.split(' ').slice(0, 4).join(' ')}`
  }
  try {
    return readdirSync(folder).map(thread).join('\n')
  } catch {
    return '  there is no such process'
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return '?'
  }
}
