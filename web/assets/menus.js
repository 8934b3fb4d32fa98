// menus closes open drop-downs on Escape, which gives the focus back, and when
// the reader turns to something else.
export function menus() {
  const open = () => document.querySelector('details.pop[open]')
  document.addEventListener('keydown', event => {
    const menu = open()
    if (event.key !== 'Escape' || !menu) return
    menu.open = false
    menu.querySelector('summary').focus()
  })
  const closeOutside = event => {
    const menu = open()
    if (menu && event.target instanceof Node && !menu.contains(event.target)) menu.open = false
  }
  document.addEventListener('click', closeOutside)
  document.addEventListener('focusin', closeOutside)
}
