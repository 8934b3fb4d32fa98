import { htmx } from './htmx.js'

// later brings what a page leaves out to be there at once. What a link with
// data-later leads to comes in its place, or in that of the part that it stands in
// if that is to come now; a button called show brings the whole of its form, with
// what was typed. Where it does not come, the link and the button are still there.
export function later() {
  const places = new Set()
  document.addEventListener('htmx:after:request', event => {
    const { target, response } = event.detail.ctx
    if (places.has(target) && response.status >= 400) event.preventDefault()
  })
  // What is asked from one element waits for what was asked from it before.
  const fetched = async (address, place, source) => {
    places.add(place)
    place.ariaBusy = 'true'
    try {
      await htmx.ajax('GET', address, { source, target: place, swap: 'outerHTML' })
    } catch { /* it is still there */ }
    places.delete(place)
    place.ariaBusy = null
    return !place.isConnected
  }
  const now = async link => {
    const figures = document.getElementById('figures')
    const inside = figures.contains(document.activeElement)
    if (!await fetched(link.getAttribute('href'), figures)) {
      link.textContent = 'It did not come. Try again'
      return
    }
    const come = document.getElementById('figures')
    if (inside) {
      const first = come.firstElementChild // the part itself has no box
      first.tabIndex = -1
      first.focus({ preventScroll: true })
    }
    document.querySelector('.sessions')?.closest('.panel').querySelector('h2').replaceChildren(come.dataset.title)
  }
  document.addEventListener('click', async event => {
    const opener = event.target.closest?.('[data-later], [name=show]')
    if (!opener || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    if (opener.dataset.later) return now(opener)
    const { form } = opener
    const place = form ?? opener
    const { parentElement: around, previousElementSibling: before } = place
    const address = form ? `?${new URLSearchParams([...new FormData(form, opener)].filter(([, value]) => value))}` : opener.getAttribute('href')
    if (!await fetched(address, place, around)) return
    const come = before ? before.nextElementSibling : around.firstElementChild
    const dialog = come.popoverTargetElement
    if (dialog) {
      come.focus() // to which closing it leads
      dialog.showPopover()
      return
    }
    // Of two that are open the inner one was asked for.
    const summary = come.querySelector('details[open] details[open] > summary') ?? come.querySelector('details[open] > summary')
    summary?.focus()
  })
  const first = document.querySelector('[data-later=now]')
  if (first) now(first)
}
