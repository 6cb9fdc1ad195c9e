// The wire log follows what is said. An event says that there is something;
// the page says what.
import { whileShown } from "./page.js"

const pane = document.getElementById("wire")
let following = true
let busy = false
let stale = false

const prepare = () => {
  const label = document.querySelector(".follow")
  label.hidden = false
  label.querySelector("input").checked = following
}

const draw = html => {
  const places = {}
  for (const list of pane.querySelectorAll(".talk .lines, .wirelist ol")) {
    const id = list.closest("[id]").id
    const atEnd = list.scrollTop + list.clientHeight > list.scrollHeight - 40
    places[list.tagName + list.className + id] = atEnd && list.classList.contains("lines") ? -1 : list.scrollTop
  }
  const focus = document.activeElement?.getAttribute?.("href")
  pane.innerHTML = html
  prepare()
  for (const list of pane.querySelectorAll(".talk .lines, .wirelist ol")) {
    const place = places[list.tagName + list.className + list.closest("[id]").id]
    list.scrollTop = place === undefined ? 0 : place < 0 ? list.scrollHeight : place
  }
  if (focus) pane.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true })
}

const load = async () => {
  if (busy) {
    stale = true
    return
  }
  busy = true
  do {
    stale = false
    const response = await fetch(location.href, { headers: { "X-Pane": "wire" } }).catch(() => null)
    if (response?.redirected) return location.reload()
    // Nothing is drawn anew under somebody who is choosing.
    if (response?.ok && !pane.contains(document.activeElement?.closest("select, details[open]"))) draw(await response.text())
  } while (stale)
  busy = false
}

pane.addEventListener("change", event => {
  if (event.target.id === "follow") {
    following = event.target.checked
    if (following) load()
  } else if (event.target.closest(".filter")) event.target.form.requestSubmit()
})

prepare()
const meant = document.getElementById(location.hash.slice(1))
for (const list of pane.querySelectorAll(".talk .lines")) if (!list.contains(meant)) list.scrollTop = list.scrollHeight
if (meant) meant.scrollIntoView({ block: "center" })
const news = () => following && load()
const events = new EventSource("/wire/events")
events.addEventListener("wire", news)
events.addEventListener("open", news) // what was said before it opened, or while the network was away
whileShown(() => events.close(), () => location.reload())
