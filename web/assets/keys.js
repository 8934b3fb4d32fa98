import { store } from './store.js'

// keys are the shortcuts. Those of a single key can be switched off, for people
// who dictate or hit keys by accident (WCAG 2.1.4).
export function keys() {
  const box = document.querySelector('[data-single-keys]')
  if (box) {
    box.checked = store.get('single-keys') !== 'off'
    box.addEventListener('change', () => store.set('single-keys', box.checked ? null : 'off'))
  }
  document.addEventListener('keydown', event => {
    if (event.defaultPrevented || event.altKey) return
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      if (search()) event.preventDefault()
      return
    }
    if (event.ctrlKey || event.metaKey || typing(event.target) || store.get('single-keys') === 'off') return
    if (single(event.key)) event.preventDefault()
  })
}

// single acts on one key and says whether it did.
function single(key) {
  switch (key) {
    case '/': return search()
    case 'j': return move(1)
    case 'k': return move(-1)
    case '?': return help()
  }
  return false
}

function typing(element) {
  return element instanceof Element && element.closest('input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]') !== null
}

function search() {
  const input = document.querySelector('[data-search]')
  if (!input) return false
  input.focus()
  input.select()
  return true
}

function help() {
  const dialog = document.getElementById('help')
  if (!dialog?.showPopover) return false
  dialog.togglePopover()
  return true
}

// move goes to the next or previous item of the lists on the page.
function move(step) {
  const items = [...document.querySelectorAll('main :is([data-item], .stretched, .opens td:first-child > a, .tl summary)')].filter(e => e.checkVisibility?.() ?? true)
  if (!items.length) return false
  const here = items.findIndex(e => e === document.activeElement || e.closest('tr, li')?.contains(document.activeElement))
  const to = here < 0 ? (step > 0 ? 0 : items.length - 1) : Math.min(Math.max(here + step, 0), items.length - 1)
  items[to].focus()
  items[to].scrollIntoView({ block: 'nearest' })
  return true
}
