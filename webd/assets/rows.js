// The list of a folder as a window: of a hundred thousand messages those near
// what one sees are on the page, and the room of the others is padding. So the
// scroll bar means the whole folder, and every place in it is one request away.

import { fetchPane, list, rows, setFlag } from "./mail.js"

const most = 150 // rows on the page
const chunk = 36 // rows that come at once
const spare = 20 // rows that are there before they are seen

const whole = () => document.querySelector("#rows[data-total]")
export const total = () => Number(whole()?.dataset.total ?? NaN)
const keyOf = row => row.dataset.keys ?? row.dataset.key

// What is selected, and the selected rows that are not on the page.
const away = new Set()
export const selected = () => [...rows().filter(r => r.querySelector("input").checked).map(keyOf), ...away]
export const forget = (keys = [...away]) => keys.forEach(k => away.delete(k))

const leave = row => {
  if (row.querySelector("input").checked) away.add(keyOf(row))
  if (row.contains(document.activeElement)) list().focus({ preventScroll: true })
  row.remove()
}
const come = fragment => {
  const there = new Set(rows().map(r => r.dataset.uid))
  const fresh = [...fragment.querySelectorAll(".row")].filter(r => !there.has(r.dataset.uid))
  for (const row of fresh) row.querySelector("input").checked = away.delete(keyOf(row))
  return fresh
}

let height = 76
// pad makes the room of the rows that are not on the page.
export const pad = (fragment, from) => {
  const box = whole()
  if (!box) return
  const now = fragment?.querySelector("meta[name=rows]")?.dataset
  if (now) box.dataset.total = now.total
  box.dataset.at = from ?? now?.at ?? box.dataset.at
  height = rows()[0]?.offsetHeight || height
  for (const link of box.querySelectorAll(".more")) link.remove()
  list().tabIndex = -1
  box.style.setProperty("--row", height + "px")
  box.style.paddingTop = box.dataset.at * height + "px"
  box.style.paddingBottom = Math.max(0, total() - box.dataset.at - rows().length) * height + "px"
}

const first = () => Math.max(0, Math.floor((list().scrollTop - whole().offsetTop) / height))

// look loads what is about to be seen.
let loading = false
let met = 0 // how often the window has been made to agree with the folder
export const look = async () => {
  const box = whole()
  if (!box || loading || !list().clientHeight) return
  const at = Number(box.dataset.at)
  const end = at + rows().length
  const from = Math.max(0, first() - spare)
  const to = Math.min(total(), first() + Math.ceil(list().clientHeight / height) + spare)
  if (from >= at && to <= end) return
  const far = from > end || to < at
  const above = !far && from < at
  const start = far ? Math.max(0, first() - 8) : above ? Math.max(0, at - chunk) : end
  loading = true
  const then = met
  const fragment = await fetchPane(`/m/${list().dataset.box}?at=${start}`, "rows").catch(() => undefined)
  loading = false
  if (!fragment || box !== whole()) return
  if (then !== met) return look() // places have changed since it was asked
  if (far) rows().forEach(leave)
  const fresh = come(fragment)
  if (above) box.prepend(...fresh)
  else box.append(...fresh)
  const over = Math.max(0, rows().length - most)
  const gone = above ? rows().slice(-over || Infinity) : rows().slice(0, over)
  gone.forEach(leave)
  pad(fragment, far || above ? start : at + gone.length)
  if (fresh.length) look()
}

// meet makes the window agree with the folder, in which mail has come and
// gone, and leaves what one sees where it is. It reports whether it could.
export const meet = async () => {
  const box = whole()
  if (!box || !rows().length) return false
  const isTop = list().clientHeight && list().scrollTop <= 0
  const edge = list().getBoundingClientRect().top + 60
  const anchor = rows().find(r => r.getBoundingClientRect().bottom > edge)
  const where = isTop ? "" : anchor ? "?around=" + anchor.dataset.uid : "?at=" + (list().clientHeight ? first() : box.dataset.at)
  const fragment = await fetchPane(`/m/${list().dataset.box}${where}`, "rows")
  if (box !== whole()) return true
  const fresh = [...fragment.querySelectorAll(".row")]
  if (!fresh.length) return false
  met++
  const before = anchor?.getBoundingClientRect().top
  const stay = new Map(rows().map(r => [r.dataset.uid, r]))
  const all = fresh.map(row => {
    const old = stay.get(row.dataset.uid)
    if (!old) row.querySelector("input").checked = away.delete(keyOf(row))
    else for (const flag of ["unread", "starred"]) setFlag(old, flag, row.classList.contains(flag))
    stay.delete(row.dataset.uid)
    return old ?? row
  })
  for (const row of stay.values()) leave(row)
  let next = box.firstElementChild
  for (const row of all) {
    if (row === next) next = next.nextElementSibling
    else box.insertBefore(row, next)
  }
  pad(fragment)
  if (!isTop && anchor?.isConnected) list().scrollTop += anchor.getBoundingClientRect().top - before
  look()
  return true
}

// Where the list stands is kept with the address, for who comes back to it.
let pause
export const mark = () => {
  clearTimeout(pause)
  if (list()?.clientHeight) history.replaceState({ ...history.state, top: list().scrollTop }, "")
}
document.addEventListener("scroll", event => {
  if (event.target.id !== "list") return
  look()
  clearTimeout(pause)
  pause = setTimeout(mark, 150)
}, { capture: true, passive: true })
addEventListener("resize", () => {
  if (!whole()) return
  const seen = first()
  const old = height
  pad()
  if (height !== old) list().scrollTop = seen * height + whole().offsetTop
  look()
})

// settle begins with a list that is new on the page, at a place of it.
export const settle = (top = 0) => {
  forget()
  pad()
  const here = list().querySelector(".row a[aria-current]")
  if (top) list().scrollTop = top
  else if (here) here.scrollIntoView({ block: here.getBoundingClientRect().bottom > innerHeight || whole()?.dataset.at > 0 ? "center" : "nearest" })
  look()
}
