// The webmail: replaces panes of the page with those of another page, so that
// the list keeps its place. Every address that it goes to is one that the
// server also answers with a whole page.

import { left, loggedOut, me, otherwise, post, toast, word } from "./page.js"
import "./keys.js"
import { listen, showLive } from "./live.js"
import { forget, mark, meet, pad, selected, settle } from "./rows.js"

export const main = document.querySelector(".mail")
export const list = () => document.getElementById("list")
export const reader = () => document.getElementById("reader")
export const rows = () => [...document.querySelectorAll("#rows > .row")]
export const rowOf = key => document.querySelector(`.row[data-key="${CSS.escape(key)}"]`)
export const isNarrow = () => matchMedia("(max-width: 700px)").matches

export const isComposeURL = url => url.pathname === "/compose" || /^\/m\/[^/]+\/\d+\/(reply|reply-all|forward)$/.test(url.pathname)

let composer // the module for writing, once it is needed
const loadComposer = async () => (composer ??= await import("./compose.js"))

// fetchPane asks for one pane of a page, as a fragment.
export const fetchPane = async (url, pane) => {
  const response = await fetch(url, { headers: { "X-Pane": pane, "X-User": encodeURIComponent(me()) } })
  if (response.status === 409) {
    otherwise()
    return new Promise(() => {})
  }
  if (response.redirected && new URL(response.url).pathname === "/login") {
    loggedOut()
    return new Promise(() => {})
  }
  const template = document.createElement("template")
  template.innerHTML = await response.text()
  return template.content
}

const place = fragment => {
  for (const id of ["side", "list", "reader"]) {
    const fresh = fragment.getElementById(id)
    if (fresh) document.getElementById(id).replaceWith(fresh)
  }
}

// stands reports whether the list on the page is the one of url.
const stands = url => {
  const [, , box] = url.pathname.split("/")
  const q = url.searchParams.get("q") ?? ""
  if (q) return list()?.dataset.query === q
  return url.pathname.startsWith("/m/") && list() && !list().dataset.query && list().dataset.box === box
}

// go shows another address. It is what a click on a link would do; a list that
// is there already stays as it is, unless it shall be a fresh one.
export const go = async (to, { push = true, focus = false, fresh = false } = {}) => {
  const url = new URL(to, location.href)
  if (isComposeURL(url)) return (await loadComposer()).openComposer(url, push)
  if (!main || main.classList.contains("writing")) return location.assign(url)
  composer?.closeComposer()
  if (push) mark()
  const keep = !fresh && stands(url)
  const top = keep && list().clientHeight ? list().scrollTop : keep || !push ? history.state?.top : 0
  try {
    place(await fetchPane(url, keep ? "reader" : "list"))
  } catch {
    return location.assign(url)
  }
  if (push) history.pushState({ top }, "", url)
  arrived(focus)
  if (!keep) settle(top)
  else if (list().clientHeight && !list().scrollTop) list().scrollTop = top // it was hidden
}

// arrived makes the page agree with its address.
const arrived = focus => {
  const key = reader().dataset.key
  main.classList.toggle("reading", Boolean(key))
  for (const row of rows()) {
    const here = key && (row.dataset.keys ?? row.dataset.key).split(" ").includes(key)
    const link = row.querySelector("a")
    if (here) {
      link.setAttribute("aria-current", "true")
      if (!row.dataset.keys) setFlag(row, "unread", false)
    } else link.removeAttribute("aria-current")
  }
  entitle()
  document.querySelector("#side:popover-open")?.hidePopover()
  showLive()
  watchEnd()
  count()
  prepareReader()
  if (key && (focus || isNarrow())) reader().querySelector("h1").focus({ preventScroll: true })
}

// entitle names the page: what is read, or the list and what is unread in it.
export const entitle = () => {
  const unread = !list().dataset.query && document.querySelector(".folders a[aria-current] .count")?.textContent
  document.title = (reader().dataset.title || (unread ? `(${unread}) ` : "") + list().getAttribute("aria-label")) + " · yubin"
}

// refresh loads the list again, and keeps its place.
export const refresh = async () => {
  if (await meet()) return count()
  const url = list().dataset.query || list().dataset.still !== undefined ? location.href : "/m/" + list().dataset.box
  const top = list().scrollTop
  const chosen = new Set(selected())
  const fragment = await fetchPane(url, "list")
  fragment.getElementById("reader")?.remove()
  place(fragment)
  list().scrollTop = top
  for (const row of rows()) row.querySelector("input").checked = chosen.has(row.dataset.keys ?? row.dataset.key)
  pad()
  arrived(false)
}

const count = () => {
  const n = selected().length
  const chosen = document.querySelector(".bulk .chosen")
  if (chosen) chosen.textContent = n ? word("chosen", n) : ""
  const all = document.querySelector("[data-all]")
  if (all) {
    all.checked = n > 0 && n === rows().length
    all.indeterminate = n > 0 && !all.checked
  }
}

export const setFlag = (row, flag, on) => {
  row.classList.toggle(flag, on)
  if (flag === "starred") {
    const star = row.querySelector(".star")
    star.setAttribute("aria-pressed", on)
    star.value = (on ? "unstar " : "star ") + row.dataset.key
  }
  if (flag === "unread") {
    const mark = row.querySelector(".who > .sr")
    if (mark) mark.hidden = !on
  }
}

const flags = { read: ["unread", false], unread: ["unread", true], star: ["starred", true], unstar: ["starred", false] }

// act does one thing to some messages, and shows it at once.
export const act = async (verb, keys, to = "") => {
  const open = reader()?.dataset.key
  const body = new URLSearchParams({ do: verb, to })
  for (const key of keys) body.append("m", key)
  const all = keys.flatMap(k => k.split(" "))
  const isTouched = r => (r.dataset.keys ?? r.dataset.key).split(" ").some(k => all.includes(k))
  const there = rows() // a live update may take the row away before the answer comes
  const answer = await post("/act", body)
  toast(answer, back => (back.url ? go(back.url) : refresh()))
  if (answer.error) return refresh()
  const touched = rows().filter(isTouched)
  if (flags[verb]) {
    for (const row of touched) setFlag(row, ...flags[verb])
    if (open && all.includes(open)) {
      if (verb === "unread") return go(backURL())
      place(await fetchPane(location.href, "reader"))
      prepareReader()
    }
    return count()
  }
  // Where reading goes on when what is open has gone.
  const at = there.findIndex(isTouched)
  const stays = r => !isTouched(r) && rowOf(r.dataset.key)
  const near = at < 0 ? undefined : (there.slice(at).find(stays) ?? there.slice(0, at).findLast(stays))
  const next = near && rowOf(near.dataset.key)
  const focused = document.activeElement === document.body || touched.some(r => r.contains(document.activeElement))
  for (const row of touched) row.remove()
  forget(keys)
  if (!await meet() && !rows().length) await refresh()
  count()
  if (open && all.includes(open)) {
    if (next && !isNarrow()) await go(next.querySelector("a").href, { push: true })
    else await go(backURL())
  }
  if (focused) next?.querySelector("a").focus({ preventScroll: true })
}

export const backURL = () => reader()?.querySelector("[data-back]")?.href ?? "/m/" + (list()?.dataset.box || "inbox")

document.addEventListener("submit", event => {
  const { target, submitter } = event
  if (!["act", "one", "stay"].includes(target.id) || !main) return
  event.preventDefault()
  const path = submitter.getAttribute("formaction")
  if (path) return post(path, new URLSearchParams(new FormData(target))).then(toast)
  const [verb, key] = submitter.value.split(" ")
  const keys = key ? [submitter.value.slice(verb.length + 1)] : new FormData(target).getAll("m")
  submitter.closest("[popover]")?.hidePopover()
  if (keys.length) act(verb, keys, new FormData(target).get("to") ?? "")
})

document.addEventListener("change", event => {
  if (event.target.matches("[data-all]")) {
    for (const row of rows()) row.querySelector("input").checked = event.target.checked
  }
  if (event.target.matches('.row > input, [data-all]')) count()
})

// Links within the webmail.
document.addEventListener("click", event => {
  const link = event.target.closest("a")
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
  if (link.matches(".row > a, .folders a, [data-open], [data-view], [data-back], [data-compose], .sidetabs a.none, .text a[href^='/compose']")) {
    event.preventDefault()
    go(link.href, { fresh: link.matches(".folders a") })
  }
})

// Checking several in a row: Shift extends from the last one.
let lastChecked
document.addEventListener("click", event => {
  const box = event.target.closest(".row > input")
  if (!box) return
  const all = rows().map(r => r.querySelector("input"))
  if (event.shiftKey && all.includes(lastChecked)) {
    const [a, b] = [all.indexOf(lastChecked), all.indexOf(box)].sort((x, y) => x - y)
    for (const other of all.slice(a, b + 1)) other.checked = box.checked
    count()
  }
  lastChecked = box
})

addEventListener("popstate", () => go(location.href, { push: false }))

// The next page is fetched before the reader comes to the end.
const end = new IntersectionObserver(entries => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue
    end.unobserve(entry.target)
    const more = entry.target
    fetchPane(more.querySelector("a").href, "rows").then(fragment => {
      more.replaceWith(fragment)
      watchEnd()
    })
  }
}, { rootMargin: "600px" })
const watchEnd = () => {
  const more = document.querySelector("#rows:not([data-total]) > .more:last-child")
  if (more) end.observe(more)
}

// Dragging to a folder.
document.addEventListener("dragstart", event => {
  const row = event.target.closest?.(".row")
  if (row) {
    const chosen = selected()
    const own = row.dataset.keys ?? row.dataset.key
    event.dataTransfer.setData("text/x-yubin", (chosen.includes(own) ? chosen : [own]).join(" "))
    event.dataTransfer.effectAllowed = "copyMove"
  }
  const file = event.target.closest?.(".files a")
  if (file) event.dataTransfer.setData("DownloadURL", `${file.dataset.type}:${file.download}:${file.href}`)
})
const target = event => event.dataTransfer?.types.includes("text/x-yubin") && event.target.closest?.(".folders a")
document.addEventListener("dragover", event => {
  const folder = target(event)
  for (const other of document.querySelectorAll(".folders .over")) if (other !== folder) other.classList.remove("over")
  if (!folder) return
  event.preventDefault()
  event.dataTransfer.dropEffect = "move"
  folder.classList.add("over")
})
document.addEventListener("drop", event => {
  const folder = target(event)
  if (!folder) return
  event.preventDefault()
  folder.classList.remove("over")
  act("move", [event.dataTransfer.getData("text/x-yubin")], decodeURIComponent(folder.dataset.folder))
})

// The divider between list and reader.
const divider = document.getElementById("divider")
const width = px => {
  const w = Math.round(Math.min(Math.max(px, 260), innerWidth * 0.6))
  document.documentElement.style.setProperty("--list", w + "px")
  localStorage.setItem("list", w)
  divider.setAttribute("aria-valuenow", w)
}
if (divider) {
  divider.ariaValueMin = 260
  if (localStorage.getItem("list")) width(Number(localStorage.getItem("list")))
  divider.addEventListener("pointerdown", event => {
    divider.setPointerCapture(event.pointerId)
    main.classList.add("sizing")
    const left = list().getBoundingClientRect().left
    const move = e => width(e.clientX - left)
    divider.addEventListener("pointermove", move)
    divider.addEventListener("lostpointercapture", () => {
      divider.removeEventListener("pointermove", move)
      main.classList.remove("sizing")
    }, { once: true })
  })
  divider.addEventListener("keydown", event => {
    const step = { ArrowLeft: -20, ArrowRight: 20 }[event.key]
    if (!step) return
    event.preventDefault()
    width(list().offsetWidth + step)
  })
}

// HTML mail stays on a light sheet; whoever wants can darken it.
const prepareReader = () => {
  const button = document.querySelector("[data-darken]")
  if (!button) return
  button.hidden = false
  button.addEventListener("click", () => {
    const dark = reader().classList.toggle("darkened")
    button.setAttribute("aria-pressed", dark)
  })
}

if (main && list()) {
  settle(history.state?.top ?? left.list)
  watchEnd()
  count()
  prepareReader()
  listen()
}
for (const button of document.querySelectorAll("#toasts button[name=undo]")) {
  button.dataset.undo = button.value
}

document.querySelector(".search input")?.addEventListener("focus", () => import("./search.js"), { once: true })
if (document.getElementById("composer")) loadComposer()

// What a page for writing had to say when it was left.
const said = sessionStorage.getItem("toast")
if (said) {
  sessionStorage.removeItem("toast")
  toast(JSON.parse(said), back => back.url && go(back.url))
}

// A letter over the page, which has changed its language.
const card = sessionStorage.getItem("card")
sessionStorage.removeItem("card")
if (card) go(card)
