// copying serves the buttons that carry their text in data-copy, or in
// data-copy-from the id of where it stands: a text field, or an element that is
// copied with its formatting. It prints the page for those with data-print.
export function copying(notify) {
  document.addEventListener('click', async event => {
    if (event.target.closest?.('[data-print]')) return window.print()
    const button = event.target.closest?.('[data-copy], [data-copy-from]')
    if (!button) return
    const from = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom)
    try {
      if (from && !('value' in from)) await copyRich(from)
      else await navigator.clipboard.writeText(from ? from.value : button.dataset.copy)
      notify('success', 'Copied.')
    } catch {
      notify('error', 'The browser did not allow copying. Select the text and copy it by hand.')
    }
  })
}

function copyRich(element) {
  const plain = document.getElementById('ticket-plain')?.value ?? element.textContent
  const item = (type, text) => [type, new Blob([text], { type })]
  return navigator.clipboard.write([new ClipboardItem(Object.fromEntries([item('text/html', element.firstElementChild.innerHTML.trim()), item('text/plain', plain)]))])
}
