// A member's choices on this device. Where storage is blocked they last as
// long as the page.
export const store = {
  get(key) {
    try { return localStorage.getItem(key) } catch { return null }
  },
  set(key, value) {
    try {
      if (value === null) localStorage.removeItem(key)
      else localStorage.setItem(key, value)
    } catch { /* blocked */ }
  },
}
