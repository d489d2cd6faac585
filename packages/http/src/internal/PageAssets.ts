/**
 * What the status page looks like, and how it stays up to date. Both are in the page, and its Content-Security-Policy
 * admits their hashes and nothing else.
 */
export const style = `
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #fff; --line: #e2e6eb; --text: #1b2430; --quiet: #5a6675;
  --good: #0f7b56; --good-ground: #e4f5ee; --warn: #8a5a00; --warn-ground: #fdf3dc; --bad: #b3261e; --bad-ground: #fdeceb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10151c; --card: #181f29; --line: #2a3442; --text: #e6ebf2; --quiet: #9aa7b8;
    --good: #5fd0a5; --good-ground: #12332a; --warn: #e8bd62; --warn-ground: #372b12; --bad: #ff9d94; --bad-ground: #3d1c1a;
  }
}
* { box-sizing: border-box; margin: 0; }
body {
  background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  padding: clamp(1rem, 4vw, 3rem) 1rem;
}
header, main, footer { max-width: 58rem; margin-inline: auto; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: space-between; }
main { margin-block: 1rem; transition: opacity .3s; }
.cut main { opacity: .55; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: clamp(1rem, 3vw, 1.75rem); }
section + section { margin-top: 1rem; }
.election { font-weight: 600; overflow-wrap: anywhere; min-width: 0; }
.quiet, .election small { color: var(--quiet); font-weight: 400; font-size: .9rem; }
h1 { font-size: clamp(1.5rem, 5vw, 2.25rem); line-height: 1.2; letter-spacing: -.015em; overflow-wrap: anywhere; }
h1 + p { color: var(--quiet); margin-top: .35rem; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin-bottom: .75rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 8.5rem), 1fr)); gap: 1rem 1.5rem; margin-top: 1.5rem; }
dt { color: var(--quiet); font-size: .8rem; }
dd { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.pill {
  display: inline-flex; align-items: center; gap: .45rem; border-radius: 2rem; padding: .15rem .75rem;
  font-size: .85rem; background: var(--warn-ground); color: var(--warn);
}
.pill::before { content: ""; flex: none; width: .55rem; height: .55rem; border-radius: 50%; background: currentColor; }
.pill[data-state="live"] { background: var(--good-ground); color: var(--good); }
.pill[data-state="cut"] { background: var(--bad-ground); color: var(--bad); border-radius: .75rem; }
.note { border-radius: .5rem; padding: .75rem 1rem; margin-top: 1.25rem; overflow-wrap: anywhere; }
.warn { background: var(--warn-ground); color: var(--warn); }
.bad { background: var(--bad-ground); color: var(--bad); }
table { width: 100%; border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: start; font-weight: 600; font-size: 1rem; padding-bottom: .75rem; }
th, td { text-align: start; padding: .55rem .75rem .55rem 0; border-top: 1px solid var(--line); vertical-align: top; }
tbody th { overflow-wrap: anywhere; min-width: 9rem; }
td:last-child { overflow-wrap: anywhere; min-width: 3.5rem; padding-inline-end: 0; }
thead th { border-top: 0; color: var(--quiet); font-weight: 400; font-size: .8rem; }
tbody th { font-weight: 600; }
td time, td [data-since] { white-space: nowrap; }
.now th { color: var(--good); }
@media (max-width: 44rem) {
  thead { position: absolute; clip-path: inset(50%); height: 1px; width: 1px; overflow: hidden; }
  table, caption, tbody, tr, th, td { display: block; }
  tbody tr { border-top: 1px solid var(--line); padding-block: .6rem; }
  th, td { border: 0; padding: .1rem 0; }
  td { display: grid; grid-template-columns: 7.5rem 1fr; }
  td::before { content: attr(data-label); color: var(--quiet); }
}
footer { color: var(--quiet); font-size: .85rem; overflow-wrap: anywhere; }
footer a { color: inherit; }
@media (prefers-reduced-motion: reduce) { main { transition: none; } }
`

/** The server's HTML goes in as it is: all that is foreign in it was escaped where it was made. */
export const script = `
"use strict"
{
  const quietFor = 15000
  const events = location.pathname.replace(/\\/$/, "") + "/events"
  const connection = document.getElementById("connection")
  const shown = new Map()
  let source, watchdog, ahead = Number(document.body.dataset.now) - Date.now()

  const two = (n) => String(n).padStart(2, "0")
  const lasting = (seconds) => {
    const s = Math.max(0, Math.floor(seconds)), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24)
    return d > 0 ? d + " d " + (h % 24) + " h" : h > 0 ? h + " h " + (m % 60) + " min" : m > 0 ? m + " min " + two(s % 60) + " s" : s + " s"
  }
  const tick = () => {
    for (const element of document.querySelectorAll("[data-since]")) {
      const until = element.dataset.until === undefined ? Date.now() + ahead : Number(element.dataset.until)
      const text = lasting((until - Number(element.dataset.since)) / 1000)
      if (element.textContent !== text) element.textContent = text
    }
  }
  const say = (state, text) => {
    document.body.classList.toggle("cut", state === "cut")
    connection.dataset.state = state
    if (connection.textContent !== text) connection.textContent = text
  }
  const cut = () => {
    source.close()
    clearTimeout(watchdog)
    if (connection.dataset.state !== "cut") {
      const at = new Date(Date.now() + ahead).toISOString().slice(11, 19)
      say("cut", "Cut off at " + at + " UTC: this may be out of date. Trying again.")
    }
    setTimeout(connect, 1000 + Math.random() * 1000)
  }
  const heard = () => {
    clearTimeout(watchdog)
    watchdog = setTimeout(cut, quietFor)
  }
  const connect = () => {
    source = new EventSource(events)
    source.addEventListener("page", (event) => {
      heard()
      const page = JSON.parse(event.data)
      ahead = page.now - Date.now()
      document.title = page.title
      for (const [id, markup] of Object.entries(page.parts)) {
        if (shown.get(id) === markup) continue
        shown.set(id, markup)
        document.getElementById(id).innerHTML = markup
      }
      tick()
      say("live", "Live")
    })
    source.addEventListener("beat", heard)
    source.addEventListener("error", cut)
    heard()
  }
  tick()
  setInterval(tick, 1000)
  connect()
}
`
