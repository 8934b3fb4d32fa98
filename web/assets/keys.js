import { element } from './element.js'
import { store } from './store.js'

// keys are the shortcuts. Those of a single key can be switched off, for people
// who dictate or hit keys by accident (WCAG 2.1.4).
export function keys() {
  document.querySelector('.help-open')?.addEventListener('click', help)
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
  const input = document.getElementById('lookup-q')
  if (!input) return false
  input.focus()
  input.select()
  return true
}

function help() {
  const dialog = document.getElementById('help') ?? document.body.appendChild(helpDialog())
  dialog.togglePopover?.()
  return true
}

const shortcuts = [['/ Ctrl K', 'Look up a customer'], ['j k', 'Next, previous in a list'], ['Enter', 'Open'], ['?', 'This help'], ['Esc', 'Close']]

// helpDialog is made when it is first asked for, so that no page carries it.
function helpDialog() {
  const title = element('h2', 'dialog-title', 'Keyboard shortcuts')
  title.id = 'help-title'
  const list = element('dl', 'keys', ...shortcuts.map(([keys, what]) => element('div', '',
    element('dt', '', ...keys.split(' ').flatMap(key => [element('kbd', 'kbd', key), ' '])), element('dd', '', what))))
  const box = element('input', 'checkbox')
  box.type = 'checkbox'
  box.id = 'single-keys'
  box.checked = store.get('single-keys') !== 'off'
  box.addEventListener('change', () => store.set('single-keys', box.checked ? null : 'off'))
  const label = element('label', '', 'Single-key shortcuts ( / j k ? ) are on')
  label.htmlFor = box.id
  const close = element('button', 'btn', 'Close')
  close.type = 'button'
  const dialog = element('div', 'dialog', title, list, element('div', 'field field-check', box, label), element('div', 'dialog-actions', close))
  dialog.id = 'help'
  dialog.popover = 'auto'
  dialog.tabIndex = -1
  dialog.autofocus = true
  dialog.role = 'dialog'
  dialog.setAttribute('aria-labelledby', title.id)
  close.addEventListener('click', () => dialog.hidePopover())
  return dialog
}

// move goes to the next or previous item of the lists on the page.
function move(step) {
  const items = [...document.querySelectorAll('main :is([data-item], .stretched, .opens td:first-child > a, .tl li > a)')].filter(e => e.checkVisibility?.() ?? true)
  if (!items.length) return false
  const here = items.findIndex(e => e === document.activeElement || e.closest('tr, li')?.contains(document.activeElement))
  const to = here < 0 ? (step > 0 ? 0 : items.length - 1) : Math.min(Math.max(here + step, 0), items.length - 1)
  items[to].focus()
  items[to].scrollIntoView({ block: 'nearest' })
  return true
}
