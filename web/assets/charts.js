const barRoom = 10 // as web/templates/chart.go has it

// charts makes each bar of a chart a link with its numbers as tooltip when the
// pointer comes. Both stand in the table under the chart, which is enough for
// whoever has no pointer.
export function charts() {
  document.addEventListener('pointerover', event => {
    const bars = event.target.closest?.('.chart-bars')
    if (!bars || bars.querySelector('rect')) return
    const table = bars.closest('.chart').querySelector('table')
    if (!table) return // its numbers stand on another page
    const rows = [...table.tBodies[0].rows]
    if (!table.matches('.first-first')) rows.reverse()
    const heads = [...table.tHead.rows[0].cells].map(textOf)
    bars.append(...rows.map((row, i) => hit(row, heads, i)))
  })
}

const textOf = element => element.textContent.trim()

function hit(row, heads, i) {
  const [label, ...numbers] = [...row.cells].map(textOf)
  const title = svg('title')
  title.textContent = [label, ...numbers.map((number, k) => `${heads[k + 1]}: ${number}`)].join('\n')
  const rect = svg('rect')
  rect.setAttribute('x', i * barRoom)
  rect.append(title)
  const href = row.querySelector('a')?.getAttribute('href')
  if (!href) return rect
  const link = svg('a')
  link.setAttribute('href', href)
  link.setAttribute('tabindex', '-1')
  link.append(rect)
  return link
}

const svg = name => document.createElementNS('http://www.w3.org/2000/svg', name)
