// The sessions of the admin page are looked at again every few seconds, while
// somebody can see them. Rows that stay are kept, so that a button does not
// slip away from under a pointer or lose its focus.
import "./page.js"

const pause = 3000
const place = () => document.getElementById("sessions")
let timer

const cells = row => [...row.querySelectorAll("[data-live]")]

const draw = html => {
  const next = new DOMParser().parseFromString(html, "text/html").getElementById("sessions")
  const old = place()
  const rows = old.querySelector("tbody")
  const fresh = next?.querySelector("tbody")
  if (!next) return
  if (!rows || !fresh) {
    if (old.innerHTML !== next.innerHTML) old.replaceChildren(...next.childNodes)
    return
  }
  const known = new Map([...rows.children].map(row => [row.dataset.session, row]))
  const now = [...fresh.children].map(row => {
    const kept = known.get(row.dataset.session)
    if (!kept) return row
    const values = cells(row)
    cells(kept).forEach((cell, i) => {
      if (cell.innerHTML !== values[i].innerHTML) cell.innerHTML = values[i].innerHTML
    })
    known.delete(row.dataset.session)
    return kept
  })
  for (const gone of known.values()) gone.remove()
  now.forEach((row, i) => {
    if (rows.children[i] !== row) rows.insertBefore(row, rows.children[i] ?? null)
  })
  old.querySelector(".logins").textContent = next.querySelector(".logins").textContent
}

const look = async () => {
  clearTimeout(timer)
  if (document.hidden) return
  const response = await fetch("/admin/sessions").catch(() => null)
  if (response?.redirected || response?.status === 404) return location.reload()
  if (response?.ok) draw(await response.text())
  clearTimeout(timer)
  timer = setTimeout(look, pause)
}

document.addEventListener("visibilitychange", look)
if (place()) timer = setTimeout(look, pause)
