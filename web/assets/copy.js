// copying serves the buttons that carry their text in data-copy.
export function copying(notify) {
  document.addEventListener('click', async event => {
    const button = event.target.closest?.('[data-copy]')
    if (!button) return
    try {
      await navigator.clipboard.writeText(button.dataset.copy)
      notify('success', 'Copied.')
    } catch {
      notify('error', 'The browser did not allow copying. Select the text and copy it by hand.')
    }
  })
}
