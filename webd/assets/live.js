// Changes as they happen, by server-sent events. What is on the page stays
// where it is: new rows come in above, and the list moves by their height, so
// that what one reads does not.

import { loggedOut, me, toast, whileShown, word } from "./page.js"
import { entitle, fetchPane, go, list, main, refresh, rows, setFlag } from "./mail.js"
import { meet, total } from "./rows.js"

let source
let at // the cursor: where the page has been told up to

const news = document.createElement("div")
news.className = "sr"
news.setAttribute("role", "status")
document.body.append(news)

// showLive marks the side pane, which may just have been replaced.
export const showLive = () => {
  const mark = document.getElementById("live")
  if (mark) mark.hidden = source?.readyState !== EventSource.OPEN
}

const open = () => {
  source?.close()
  at ??= document.getElementById("side").dataset.at
  source = new EventSource("/live?" + new URLSearchParams({ at, for: me() }))
  source.addEventListener("open", showLive)
  source.addEventListener("error", () => {
    showLive()
    news.textContent = word("offline")
  })
  source.addEventListener("over", () => {
    source.close()
    showLive()
    loggedOut()
  })
  source.addEventListener("notice", event => toast(JSON.parse(event.data)))
  source.addEventListener("mail", event => {
    at = event.lastEventId
    const { folders, changes } = JSON.parse(event.data)
    for (const f of folders) counts(f)
    entitle()
    const there = new Set(folders.map(f => f.box))
    if ([...document.querySelectorAll(".folders a")].some(a => !there.has(a.dataset.folder)) && !document.querySelector(".foldermenu[open]")) next(sides)
    next(() => changed(changes ?? []))
  })
}
document.addEventListener("renewed", () => main && list() && open())

// next does one thing after another: rows must not come in twice. What fails
// for want of a connection leaves the rest as it is.
let busy = Promise.resolve()
const next = what => { busy = busy.then(what).catch(() => {}) }

const counts = ({ box, count }) => {
  const link = document.querySelector(`.folders a[data-folder="${CSS.escape(box)}"]`)
  if (link) link.querySelector(".count").textContent = count || ""
  else if (!document.querySelector(".foldermenu[open]")) next(sides)
}

// sides loads the folders again: another client has made or renamed one.
const sides = async () => {
  const { box, query } = list().dataset
  const side = (await fetchPane(query ? "/search?" + new URLSearchParams({ q: query }) : "/m/" + box, "list")).getElementById("side")
  if (side) document.getElementById("side").replaceWith(side)
  else if (!document.getElementById("composer")) return go("/m/inbox") // what was shown has gone
  showLive()
}

const changed = async changes => {
  const here = changes.find(c => c.box === list().dataset.box)
  if (!here || list().dataset.query) return
  if (here.reload) return refresh()
  const count = document.querySelector(".bar .total")
  if (count) count.textContent = here.total
  for (const uid of here.gone ?? []) {
    const row = rowOf(uid)
    if (row && !row.dataset.keys) row.remove()
  }
  const first = Number(list().dataset.next)
  const fresh = (here.flags ?? []).filter(m => m.uid >= first)
  for (const m of here.flags ?? []) {
    list().dataset.next = Math.max(list().dataset.next, m.uid + 1)
    const row = rowOf(m.uid)
    if (row && !row.dataset.keys) {
      setFlag(row, "unread", Boolean(m.unread))
      setFlag(row, "starred", Boolean(m.starred))
      row.classList.toggle("deleted", Boolean(m.deleted))
    }
  }
  if (list().dataset.still !== undefined) return
  if (!rows().length || list().dataset.threads) {
    if (here.flags?.length || here.gone?.length) await refresh()
  } else if (here.gone?.length || fresh.length || here.messages !== total()) {
    if (!await meet()) await refresh()
  }
  const news = fresh.find(m => m.unread)
  if (news) await announce(news.uid, fresh, first)
}

const rowOf = uid => document.querySelector(`.row[data-uid="${uid}"]`)

// announce says whom a mail is from, also when it came in out of sight. What
// was moved here, or back, has older mail above it, and is no news.
const announce = async (uid, fresh, first) => {
  for (const m of fresh) rowOf(m.uid)?.classList.add("fresh")
  const top = list().scrollTop > 0 ? [...(await fetchPane("/m/" + list().dataset.box, "rows")).querySelectorAll(".row")] : rows()
  const old = top.findIndex(r => r.dataset.uid < first)
  const row = (old < 0 ? top : top.slice(0, old)).find(r => r.dataset.uid === String(uid))
  if (!row) return
  const who = row.querySelector(".who").cloneNode(true)
  who.querySelector(".sr")?.remove()
  news.textContent = word("arrived", who.textContent.trim())
  if (list().scrollTop > 0) pill(fresh.filter(m => m.unread).length)
}

// pill leads up to what came in above what one sees.
const pill = count => {
  const at = list()
  let bar = at.querySelector(".pill")
  if (!bar) {
    bar = Object.assign(document.createElement("div"), { className: "pill" })
    bar.append(Object.assign(document.createElement("button"), { className: "pri", onclick: () => { at.scrollTop = 0; at.focus() } }))
    at.querySelector("#rows").before(bar)
    at.addEventListener("scroll", () => at.scrollTop > 0 || bar.remove())
  }
  bar.dataset.count = Number(bar.dataset.count ?? 0) + count
  bar.firstChild.textContent = word("new", bar.dataset.count)
}

// listen begins, once there is something to show changes in.
export const listen = () => {
  if (!main || !list()) return
  open()
  // A page that nobody looks at needs no stream: browsers allow few of them.
  let hidden
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hidden)
    if (document.hidden) hidden = setTimeout(() => source.close(), 30_000)
    else if (source.readyState === EventSource.CLOSED) open()
  })
  whileShown(() => source.close(), open)
}
