import { htmx } from './htmx.js'

// parts loads what a button with data-part or a search box with data-part-search
// names into #docs, instead of sending the form that they stand in.
export function parts() {
  const load = async (address, focus) => {
    await htmx.ajax('GET', address, { target: '#docs', swap: 'outerHTML' })
    if (focus) document.querySelector('#docs [data-focus]')?.focus()
  }
  document.addEventListener('click', event => {
    const button = event.target.closest?.('[data-part]')
    if (!button) return
    event.preventDefault()
    load(button.dataset.part, true)
  })
  let later
  document.addEventListener('input', event => {
    const { partSearch } = event.target.dataset ?? {}
    if (!partSearch) return
    clearTimeout(later)
    later = setTimeout(() => load(`${partSearch}&q=${encodeURIComponent(event.target.value)}`, false), 250)
  })
}
