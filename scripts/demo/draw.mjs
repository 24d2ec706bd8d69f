// Screens of a terminal one after the other, as an SVG that moves by CSS alone: all of them stand below each other, and a window moves on
// from one to the next. Who prefers no motion sees the last one, and so does whoever knows no animations.

/** Of a character, in pixels. */
const WIDTH = 7.23
const HEIGHT = 17
const MARGIN = 14
/** How long the last screen is seen before it begins anew, in s. */
const REST = 8

const STYLE = `
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre;fill:#1f2328}
.back{fill:#f6f8fa;stroke:#d1d9e0}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.back{fill:#0d1117;stroke:#3d444d}}
@media(prefers-reduced-motion:reduce){.film{animation:none!important}}`

/** Draws screens, each with its lines and the time in s from which on it is seen. */
export function drawScreens(screens, title) {
  const rows = Math.max(...screens.map(({ lines }) => lines.findLastIndex((line) => line !== '') + 1))
  const columns = Math.max(...screens.flatMap(({ lines }) => lines.map(({ length }) => length)))
  const [width, height] = [Math.ceil(columns * WIDTH), rows * HEIGHT]
  const duration = screens.at(-1).time + REST
  const texts = [...new Set(screens.flatMap(({ lines }) => lines.filter((line) => line !== '')))]
  const place = (index) => `transform:translateY(${-index * height}px)`
  const steps = screens.map(({ time }, index) => `${((time / duration) * 100).toFixed(2)}%{${place(index)}}`)
  const pictures = screens.map(({ lines }, index) => {
    const uses = lines.flatMap((line, row) =>
      line === '' ? [] : [`<use href="#t${texts.indexOf(line)}" y="${index * height + (row + 1) * HEIGHT - 5}"/>`],
    )
    return uses.join('')
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width + 2 * MARGIN} ${height + 2 * MARGIN}" role="img">`,
    `<title>${escape(title)}</title>`,
    `<style>${STYLE}`,
    `.film{${place(screens.length - 1)};animation:film ${duration.toFixed(2)}s step-end infinite}`,
    `@keyframes film{${steps.join('')}}</style>`,
    `<rect class="back" x=".5" y=".5" width="${width + 2 * MARGIN - 1}" height="${height + 2 * MARGIN - 1}" rx="8"/>`,
    `<defs>${texts.map((text, index) => `<text id="t${index}">${escape(text)}</text>`).join('\n')}</defs>`,
    `<svg x="${MARGIN}" y="${MARGIN}" width="${width}" height="${height}"><g class="film">`,
    ...pictures,
    '</g></svg>',
    '</svg>',
    '',
  ].join('\n')
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
