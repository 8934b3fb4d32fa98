// limits tells how many characters are left in fields that have a limit, once
// that is worth knowing. It counts as the server does: in characters, not in
// the UTF-16 units of maxlength.
export function limits() {
  const tell = field => {
    const note = document.querySelector(`[data-limit-of="${CSS.escape(field.id)}"]`)
    if (!note) return
    const limit = Number(note.dataset.limit), typed = [...field.value].length
    let text = ''
    if (typed > limit) text = `${(typed - limit).toLocaleString('en')} too many: at most ${limit.toLocaleString('en')} characters are taken.`
    else if (typed > limit * 0.8) text = `${(limit - typed).toLocaleString('en')} characters left of ${limit.toLocaleString('en')}.`
    if (note.textContent !== text) note.textContent = text
    note.classList.toggle('error', typed > limit)
  }
  document.addEventListener('input', event => { if (event.target.id) tell(event.target) })
}
