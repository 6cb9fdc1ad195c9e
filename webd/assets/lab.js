// The compare lab: the same pages and forms, without loading all of it anew.
// What is shown is what the server says; nothing of a run is kept here.
import { whileShown, word } from "./page.js"

const stage = document.getElementById("stage")
const still = matchMedia("(prefers-reduced-motion: reduce)")
const $ = (selector, root = document) => root.querySelector(selector)

// Without a stage this is the list of scenarios.
for (const form of document.querySelectorAll("form:has([data-busy])")) {
  form.addEventListener("submit", () => $("[data-busy]", form).classList.add("busy"))
}

if (stage) start()

function start() {
  let chosen = 0 // the conversation somebody wants to see; 0 is the latest
  let auto = 0
  let speed = 1
  let busy = false
  let wanting = false
  let stale = false

  const player = () => document.getElementById("player")
  const played = () => Number(player().dataset.played)
  const steps = () => Number(player().dataset.steps)

  // load takes the stage as it is now. Where somebody reads, they stay.
  const load = async () => {
    if (wanting) {
      stale = true
      return
    }
    wanting = true
    try {
      do {
        stale = false
        const response = await fetch(location.pathname, { headers: { "X-Pane": "stage" } })
        if (response.redirected) return location.reload()
        if (response.ok) draw(await response.text())
      } while (stale)
      // The address leads back here: to be shared, or after a change of language.
      history.replaceState(null, "", `${location.pathname}${played() ? `?step=${played()}` : ""}${location.hash}`)
    } finally {
      wanting = false
    }
  }

  const draw = html => {
    const scrolls = {}
    for (const talk of stage.querySelectorAll(".talk")) {
      const lines = $(".lines", talk)
      const atEnd = lines.scrollTop + lines.clientHeight > lines.scrollHeight - 30
      scrolls[talk.id] = atEnd ? -1 : lines.scrollTop
    }
    const focus = document.activeElement
    const back = stage.contains(focus) ? focus.id || (focus.name && focus.value ? `[name="${focus.name}"][value="${CSS.escape(focus.value)}"]` : "") : ""
    const typed = $("#typed")?.value
    const picked = [...stage.querySelectorAll('select[name^="mail."]')].map(s => [s.name, s.value])
    const hit = $(".hit")?.id
    const run = player().dataset.run
    const open = [...stage.querySelectorAll("details.predict[open]")].length > 0
    const tabs = $(".talktabs")?.scrollLeft ?? 0
    const side = scrollY
    stage.innerHTML = html
    if (open && $(".predict")) $(".predict").open = true
    if (typed && $("#typed")) $("#typed").value = typed
    if ($(".talktabs")) $(".talktabs").scrollLeft = tabs
    for (const [name, value] of picked) {
      const select = $(`select[name="${name}"]`)
      if (select && [...select.options].some(o => o.value === value)) select.value = value
    }
    if (hit && run === player().dataset.run) document.getElementById(hit)?.classList.add("hit")
    prepare()
    for (const talk of stage.querySelectorAll(".talk")) {
      const lines = $(".lines", talk)
      lines.scrollTop = scrolls[talk.id] >= 0 ? scrolls[talk.id] : lines.scrollHeight
    }
    if (back) (document.getElementById(back) ?? $(back.startsWith("[") ? back : "#next"))?.focus({ preventScroll: true })
    scrollTo({ top: side, behavior: "instant" })
  }

  // prepare readies a stage that has just been drawn.
  const prepare = () => {
    player().classList.toggle("busy", busy)
    const talks = $("#talks")
    if (talks && $(".talk", talks)) {
      talks.classList.add("chosen")
      show()
    }
    const autos = $(".autos")
    if (autos) {
      autos.hidden = false
      const button = $("#auto")
      button.setAttribute("aria-pressed", String(auto > 0))
      button.textContent = auto ? `■ ${word("lab.stop")}` : word("lab.auto")
      $("#speed").value = String(speed)
    }
  }

  const show = () => {
    const talks = [...stage.querySelectorAll(".talk")]
    const now = talks.find(t => t.id === `c${chosen}`) ?? talks.find(t => t.classList.contains("on")) ?? talks[0]
    for (const t of talks) t.classList.toggle("pick1", t === now)
    for (const tab of stage.querySelectorAll(".talktabs a")) {
      const here = tab.getAttribute("href") === `#${now.id}`
      tab.classList.toggle("here", here)
      const bar = tab.parentElement
      const left = tab.offsetLeft - bar.offsetLeft
      if (here && (left < bar.scrollLeft || left + tab.offsetWidth > bar.scrollLeft + bar.clientWidth)) bar.scrollLeft = left - 60
    }
  }

  // point shows the line that the address names.
  const point = () => {
    const match = /^#c(\d+)(?:-(\d+))?$/.exec(location.hash)
    if (!match) return
    chosen = Number(match[1])
    show()
    for (const hit of stage.querySelectorAll(".hit")) hit.classList.remove("hit")
    const line = match[2] && document.getElementById(`c${match[1]}-${match[2]}`)
    if (!line) return
    line.classList.add("hit")
    const list = line.closest(".lines")
    list.scrollTop = line.offsetTop - list.offsetTop - list.clientHeight / 2
    if (document.activeElement?.closest?.(".results, .facts")) line.scrollIntoView({ block: "center", behavior: still.matches ? "instant" : "smooth" })
  }

  const say = text => {
    const toast = document.createElement("div")
    toast.className = "toast bad"
    toast.textContent = text
    document.getElementById("toasts").replaceChildren(toast)
  }

  // send does what a button of a form does.
  const send = async (form, button) => {
    if (busy) return false
    busy = true
    player().classList.add("busy")
    const body = new URLSearchParams(new FormData(form))
    if (button?.name) body.set(button.name, button.value)
    if (form.id !== "player") body.set("latency", $('select[name="latency"]')?.value ?? "0")
    chosen = button?.value?.startsWith("type") || button?.value === "connect" ? 0 : chosen
    if (["next", "back", "again"].includes(button?.value)) chosen = 0
    try {
      const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } })
      if (!response.ok) {
        const answer = await response.json().catch(() => ({}))
        say(answer.error ?? word("lab.failed"))
      }
      if (response.ok && button?.value === "type") $("#typed").value = ""
      await load()
      return response.ok
    } catch {
      say(word("lab.failed"))
      return false
    } finally {
      busy = false
      player().classList.remove("busy")
      if (button?.value === "type") $("#typed")?.focus()
    }
  }

  const press = value => {
    const button = $(`#player [name="do"][value="${value}"]`)
    return button && !button.disabled ? send(player(), button) : false
  }

  const tick = async () => {
    if (!auto) return
    if (played() >= steps()) return stop()
    if (!(await press("next"))) return stop()
    if (auto) auto = setTimeout(tick, 2600 / speed)
  }
  // A story that is over begins again.
  const begin = async () => {
    if (played() >= steps()) await press("again")
    tick()
  }
  const stop = () => {
    clearTimeout(auto)
    auto = 0
    prepare()
  }

  stage.addEventListener("submit", event => {
    event.preventDefault()
    send(event.target, event.submitter ?? $("[name=do]", event.target))
  })
  stage.addEventListener("click", event => {
    const tab = event.target.closest('a[href*="#c"]')
    const to = tab && new URL(tab.href?.baseVal ?? tab.href, location.href)
    if (tab && to.pathname === location.pathname && event.button === 0 && !event.ctrlKey && !event.metaKey) {
      event.preventDefault()
      const hash = to.hash
      history.replaceState(null, "", hash)
      point()
      if (!tab.closest(".talktabs")) $("#talks").scrollIntoView({ block: "nearest", behavior: still.matches ? "instant" : "smooth" })
      return
    }
    const hint = event.target.closest("[data-type]")
    if (hint) {
      $("#typed").value = hint.textContent
      $("#typed").focus()
      return
    }
    if (event.target.id === "auto") {
      if (auto) return stop()
      auto = -1
      prepare()
      begin()
    }
    if (!event.target.closest(".pick")) $(".pick")?.removeAttribute("open")
  })
  stage.addEventListener("change", event => {
    if (event.target.id === "speed") speed = Number(event.target.value)
  })
  addEventListener("hashchange", point)
  addEventListener("keydown", event => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, summary, [contenteditable]")) return
    if (event.target.closest(".talktabs, .lines, .timeline") && event.key !== " ") return
    if (event.key === "ArrowRight") press("next")
    else if (event.key === "ArrowLeft") press("back")
    else if (event.key === " " && !event.target.closest("button, a")) $("#auto")?.click()
    else return
    event.preventDefault()
  })

  const events = new EventSource(`${location.pathname}/events`)
  events.addEventListener("board", load)
  whileShown(() => events.close(), () => location.reload())

  prepare()
  for (const lines of stage.querySelectorAll(".lines")) lines.scrollTop = lines.scrollHeight
  point()
  const wanted = Number(player().dataset.wanted)
  if (wanted && wanted !== played()) {
    const button = $("#wanted")
    if (button) send(player(), button)
  }
}
