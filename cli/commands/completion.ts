import { ShmObserver } from '../../index.js'
import { type Command, COMMON_OPTIONS, type Option, UsageError } from '../command.js'
import { find } from '../help.js'
import { namesIn, snapshotOf } from '../place.js'

/** What each shell is told: ask `millrace completion words` for what may come at the end of the line so far. */
const SCRIPTS = {
  bash: `_millrace() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "$(millrace completion words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _millrace millrace
`,
  zsh: `#compdef millrace
_millrace() {
  local -a candidates
  candidates=("\${(@f)$(millrace completion words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  candidates=(\${candidates:#})
  (( $#candidates )) && compadd -a candidates || _files
}
compdef _millrace millrace
`,
  fish: `complete -c millrace -a '(millrace completion words -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
}
const SHELLS = Object.keys(SCRIPTS) as (keyof typeof SCRIPTS)[]

/** Prints what a shell needs, and what it asks for. */
export const completion: Command = {
  name: 'completion',
  parameters: ['<bash|zsh|fish>', '[word…]'],
  options: {},
  summary: 'print a script for a shell, as in: source <(millrace completion bash)',
  run({ positionals: [shell, ...words], where }, commands) {
    if (shell === 'words') {
      console.log(candidates(words, commands, where).join('\n'))
      return 0
    }
    const known = SHELLS.find((each) => each === shell)
    if (known === undefined)
      throw new UsageError(`there is no script for ${JSON.stringify(shell)}, but for ${SHELLS.join(', ')}`)
    process.stdout.write(SCRIPTS[known])
    return 0
  },
}

/** What the last of `words` may become. */
function candidates(words: readonly string[], commands: readonly Command[], where: { directory?: string }): string[] {
  const [last = '', before = ''] = words.toReversed()
  const command = find(commands, words.slice(0, -1))
  const all = command === undefined ? names(words, commands) : argumentsOf(command, last, before, where)
  return all.filter((each) => each.startsWith(last))
}

/** The next word of every name of a command that begins with the words before it. */
function names(words: readonly string[], commands: readonly Command[]): string[] {
  const so = words.slice(0, -1)
  const parts = commands.map(({ name }) => name.split(' ')).filter((name) => so.every((one, at) => one === name[at]))
  return [...new Set([...parts.flatMap((name) => name[so.length] ?? []), ...(so.length === 0 ? ['help'] : [])])]
}

function argumentsOf(command: Command, last: string, before: string, where: { directory?: string }): string[] {
  const options: Readonly<Record<string, Option>> = { ...command.options, ...COMMON_OPTIONS }
  const open = options[before.replace(/^--/, '')]
  if (before.startsWith('--') && open?.value !== undefined) return [...(open.values ?? [])]
  if (last.startsWith('-')) return Object.keys(options).map((name) => `--${name}`)
  const [parameter = ''] = command.parameters
  if (command.name === 'completion') return SHELLS
  if (!parameter.includes('domain')) return []
  return last.includes('/') ? thingsOf(last.split('/')[0]!, where) : ShmObserver.list(where).map(({ domain }) => domain)
}

/** What is in a domain; nothing if that cannot be read: who completes a word wants no error. */
function thingsOf(domain: string, where: { directory?: string }): string[] {
  try {
    return namesIn(snapshotOf(domain, where)).map((name) => `${domain}/${name}`)
  } catch {
    return []
  }
}
