// tips gives a cell that cuts its text off the whole of it as a tooltip, when
// the pointer comes.
export function tips() {
  document.addEventListener('pointerover', event => {
    const cell = event.target.closest?.('.wf-page')
    if (cell) cell.title = cell.innerText.trim()
  })
}
