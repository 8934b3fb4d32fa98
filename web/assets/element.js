// element makes an element of a class with children, which may be text.
export function element(name, className, ...children) {
  const made = document.createElement(name)
  made.className = className
  made.append(...children)
  return made
}
