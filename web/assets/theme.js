// Runs before the first paint, so that a chosen theme does not flash in late.
// Without a choice the style sheet follows the system.
(() => {
  const root = document.documentElement
  root.classList.add('js')
  try {
    const theme = localStorage.getItem('theme')
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme
  } catch {
    // Storage is blocked: the system's theme it is.
  }
})()
