import { store } from './store.js'

const labels = { system: 'Theme: like the system', light: 'Theme: light', dark: 'Theme: dark' }
const next = { system: 'light', light: 'dark', dark: 'system' }

// themeSwitch turns the button through system, light and dark.
export function themeSwitch() {
  const root = document.documentElement
  const button = document.querySelector('.theme-switch')
  if (!button) return
  const current = () => root.dataset.theme ?? 'system'
  const show = () => {
    button.title = labels[current()]
    button.setAttribute('aria-label', button.title)
  }
  button.addEventListener('click', () => {
    const theme = next[current()]
    if (theme === 'system') delete root.dataset.theme
    else root.dataset.theme = theme
    store.set('theme', theme === 'system' ? null : theme)
    show()
  })
  show()
}
