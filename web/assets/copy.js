// copying makes what reveals a text copy it instead, and serves the buttons that
// name in data-copy-from the id of what they copy: a text field, or an element
// that is copied with its formatting. It prints the page for those with
// data-print.
export function copying(notify) {
  for (const summary of document.querySelectorAll('.reveal > summary')) summary.role = 'button'
  document.addEventListener('click', async event => {
    if (event.target.closest?.('[data-print]')) return window.print()
    const button = event.target.closest?.('[data-copy-from], .reveal > summary')
    if (!button) return
    const reveal = button.closest('.reveal')
    if (reveal) event.preventDefault()
    const from = reveal ? button.nextElementSibling : document.getElementById(button.dataset.copyFrom)
    try {
      if ('value' in from) await navigator.clipboard.writeText(from.value)
      else await copyRich(from)
      notify('success', 'Copied.')
    } catch {
      if (reveal) reveal.open = true
      notify('error', 'The browser did not allow copying. Select the text and copy it by hand.')
    }
  })
}

function copyRich(element) {
  const plain = document.getElementById('ticket-plain')?.value ?? element.textContent
  const item = (type, text) => [type, new Blob([text], { type })]
  return navigator.clipboard.write([new ClipboardItem(Object.fromEntries([item('text/html', element.firstElementChild.innerHTML.trim()), item('text/plain', plain)]))])
}
