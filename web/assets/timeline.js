import { htmx } from './htmx.js'

// timeline has the entries of a timeline that are nothing but a link open where
// they stand: what their page holds is fetched as a part of this one. It stands
// here and not in htmx attributes, which would be half of every entry.
export function timeline() {
  for (const entry of document.querySelectorAll('.tl li > a')) {
    entry.role = 'button'
    entry.ariaExpanded = 'false'
  }
  document.addEventListener('click', event => {
    const entry = event.target.closest?.('.tl li > a')
    if (!entry || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    turn(entry)
  })
  document.addEventListener('keydown', event => {
    if (event.key !== ' ' || !event.target.matches?.('.tl li > a')) return
    event.preventDefault()
    turn(event.target)
  })
}

async function turn(entry) {
  const opens = entry.ariaExpanded !== 'true'
  entry.ariaExpanded = String(opens)
  let room = entry.nextElementSibling
  if (room) room.hidden = !opens
  if (room || !opens) return
  room = document.createElement('div')
  room.className = 'tl-detail'
  const lines = document.createElement('p')
  lines.className = 'skel-lines'
  lines.textContent = 'Loading'
  room.append(lines)
  entry.after(room)
  try {
    await htmx.ajax('GET', entry.getAttribute('href'), { target: room, swap: 'innerHTML' })
  } finally {
    if (lines.isConnected) { // it did not come; opening it again asks again
      room.remove()
      entry.ariaExpanded = 'false'
    }
  }
}
