import { htmx } from './htmx.js'

// timeline fetches what an entry of a timeline holds when it is opened: the
// page that its link leads to, as a part of this one. It stands here and not
// in htmx attributes, which would be half of every entry.
export function timeline() {
  document.addEventListener('toggle', event => open(event.target), true)
  document.querySelectorAll('.tl details[open]').forEach(open)
}

async function open(details) {
  if (!details.open || !details.matches?.('.tl details') || details.querySelector(':scope > .tl-detail')) return
  const address = details.querySelector(':scope > a')?.getAttribute('href')
  if (!address) return
  const room = document.createElement('div')
  room.className = 'tl-detail'
  const lines = document.createElement('p')
  lines.className = 'skel-lines'
  lines.textContent = 'Loading'
  room.append(lines)
  details.querySelector('summary').after(room)
  try {
    await htmx.ajax('GET', address, { target: room, swap: 'innerHTML' })
  } finally {
    if (lines.isConnected) room.remove() // it did not come; opening it again asks again
  }
}
