// What the demo prints.

const WIDTH = 40
/** Without a terminal: a line each time another such part is done. */
const LINE_EVERY = 0.25
let shown = 0

/** Shows how much is done: a bar on a terminal, elsewhere a line now and then. */
export function showProgress(part: number): void {
  const percent = `${Math.floor(part * 100)} %`
  if (process.stdout.isTTY) {
    const bar = '█'.repeat(Math.round(part * WIDTH)).padEnd(WIDTH, '░')
    process.stdout.write(`\r${bar} ${percent}${part === 1 ? '\n' : ''}`)
  } else if (part === 1 || part >= shown + LINE_EVERY) {
    shown = part
    console.log(percent)
  }
}

/** Says something beside the bar. */
export function say(text: string): void {
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K')
  console.log(text)
}

/** Prints rows of a name and what there is to say of it. */
export function showTable(rows: [name: string, value: string][]): void {
  const width = Math.max(...rows.map(([name]) => name.length))
  for (const [name, value] of rows) console.log(`${name.padEnd(width)}  ${value}`)
}
