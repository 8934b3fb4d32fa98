import { element } from './element.js'

const icon = name => element('i', `icon icon-${name}`)
const lifetime = 6000

// toasts looks after the live region that is in the page from the start. What
// is not an error goes away by itself, unless it is being read; errors stay
// until they are closed. It returns a function that adds a message, success or
// error, in the form of the component toast.
export function toasts() {
  const region = document.getElementById('toasts')
  if (!region) return () => {}
  region.addEventListener('click', event => {
    const toast = event.target.closest?.('[data-dismiss]')?.closest('[data-toast]')
    if (toast) close(toast)
  })
  new MutationObserver(changes => {
    for (const change of changes) change.addedNodes.forEach(retire)
  }).observe(region, { childList: true })
  region.querySelectorAll('[data-toast]').forEach(retire)

  return (kind, text) => {
    const close = element('button', 'btn btn-ghost btn-sm btn-square', icon('x'), element('span', 'sr-only', 'Close'))
    close.type = 'button'
    close.dataset.dismiss = ''
    const toast = element('div', `toast-item ${kind === 'error' ? 'tone-bad' : 'tone-good'}`, icon(kind === 'error' ? 'circle-x' : 'circle-check'), element('p', '', text), close)
    toast.dataset.toast = kind
    region.append(toast)
  }
}

// close takes a toast away; the focus, if it was in it, goes to the page.
function close(toast) {
  const focused = toast.contains(document.activeElement)
  toast.remove()
  if (focused) document.getElementById('main')?.focus({ preventScroll: true })
}

function retire(toast) {
  if (!(toast instanceof HTMLElement) || !toast.dataset.toast || toast.dataset.toast === 'error') return
  let timer
  const start = () => { timer = setTimeout(() => close(toast), lifetime) }
  const stop = () => clearTimeout(timer)
  for (const type of ['mouseenter', 'focusin']) toast.addEventListener(type, stop)
  for (const type of ['mouseleave', 'focusout']) toast.addEventListener(type, start)
  start()
}
