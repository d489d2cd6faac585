/**
 * The status page: the parts that change, as they are sent to pages that are open, and the whole page around them.
 */
import * as DateTime from "effect/DateTime"
import type { Status } from "../LeaderStatus.ts"
import { html, trusted, type Html } from "./Html.ts"
import * as PageAssets from "./PageAssets.ts"

/** The parts by their ids. Only the headline is read aloud when it changes. */
export interface Parts {
  readonly election: Html
  readonly headline: Html
  readonly facts: Html
  readonly terms: Html
}

export const title = ({ election, leader }: Status): string =>
  leader === undefined ? `Nobody leads ${election}` : `${leader.identity} leads ${election}`

export const parts = (status: Status): Parts => ({
  election: html`${status.election} <small>election</small>`,
  headline: headline(status),
  facts: facts(status),
  terms: terms(status)
})

/** What an open page is sent. */
export const update = (status: Status): string => {
  const markups = Object.entries(parts(status)).map(([id, part]: readonly [string, Html]) => [id, part.markup])
  return JSON.stringify({ title: title(status), now: status.now.epochMilliseconds, parts: Object.fromEntries(markups) })
}

export const page = (status: Status): Html => {
  const { election, facts, headline, terms } = parts(status)
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title(status)}</title>
        <link rel="icon" href="${icon}" />
        <noscript><meta http-equiv="refresh" content="5" /></noscript>
        ${style}
      </head>
      <body data-now="${status.now.epochMilliseconds}">
        <header>
          <p class="election" id="election">${election}</p>
          <p class="pill" id="connection" role="status" data-state="opening">Connecting</p>
        </header>
        <main>
          <section aria-label="Now">
            <div id="headline" aria-live="polite" aria-atomic="true">${headline}</div>
            <div id="facts">${facts}</div>
          </section>
          <section id="terms" aria-label="Last terms">${terms}</section>
        </main>
        <footer>
          As <q>${status.identity}</q> sees it, which answers here. Times are UTC. The same as JSON:
          <code>Accept: application/json</code>.
        </footer>
        ${script}
      </body>
    </html> `
}

// Whole, so that nothing of the layout here gets into what the policy has hashes of.
const style = trusted(`<style>${PageAssets.style}</style>`)
const script = trusted(`<script>${PageAssets.script}</script>`)

const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='6' fill='%230f7b56'/%3E%3C/svg%3E"

const headline = (status: Status): Html => {
  const { leader } = status
  return html`<h1>${leader === undefined ? "Nobody leads" : `${leader.identity} leads`}</h1>
    <p>${roleOf(status)}</p>`
}

/** What the candidate that answers is, in a sentence. */
const roleOf = ({ end, identity, leader, overrun, role }: Status): string => {
  switch (role) {
    case "Leading":
      return "That is this candidate."
    case "Standby":
      return leader === undefined
        ? `This is ${identity}, which waits for a term.`
        : `This is ${identity}, which follows.`
    case "Draining": {
      const why = `This is ${identity}, which stops leading (${ends[end ?? "Resigned"]})`
      return overrun === true ? `${why}, but its work still runs.` : `${why} and waits for its work to end.`
    }
    case "Stopped":
      return `This is ${identity}, which takes part no more.`
  }
}

const facts = (status: Status): Html => {
  const { leader, overrun, token, trouble } = status
  const known = [
    ...(leader === undefined ? [] : [fact("Since", time(leader.since)), fact("For", lasting(leader.since))]),
    ...(leader?.address === undefined ? [] : [fact("Address", html`${leader.address}`)]),
    ...(token === undefined ? [] : [fact("Fencing token", html`${String(token)}`)])
  ]
  return html`${known.length === 0 ? [] : html`<dl>${known}</dl>`}
  ${
    overrun === true
      ? html`<p class="note bad">
          Work of this candidate has outlived its lease: another may lead already. End this process.
        </p>`
      : []
  }${trouble === undefined ? [] : html`<p class="note warn">This candidate has trouble: ${trouble}</p>`}`
}

const fact = (name: string, value: Html): Html =>
  html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`

const terms = ({ terms }: Status): Html =>
  terms.length === 0
    ? html`<h2>Last terms</h2>
        <p class="quiet">None since this candidate started.</p>`
    : // The roles are named since the narrow layout takes them from the elements.
      html`<table role="table">
        <caption>
          Last terms
        </caption>
        <thead role="rowgroup">
          <tr role="row">
            ${["Leader", "From", "Lasted", "End", "Token"].map(
              (name) => html`<th role="columnheader" scope="col">${name}</th>`
            )}
          </tr>
        </thead>
        <tbody role="rowgroup">
          ${terms.map(row)}
        </tbody>
      </table>`

const row = (term: Status["terms"][number]): Html => {
  const cell = (label: string, value: Html) => html`<td role="cell" data-label="${label}"><span>${value}</span></td>`
  return html`<tr role="row" class="${term.until === undefined ? "now" : "over"}">
    <th role="rowheader" scope="row">${term.identity}</th>
    ${[
      cell("From", time(term.since)),
      cell("Lasted", lasting(term.since, term.until)),
      cell(
        "End",
        html`${term.end === undefined ? (term.until === undefined ? "leads" : "not known here") : ends[term.end]}`
      ),
      cell("Token", html`${term.token === undefined ? "–" : String(term.token)}`)
    ]}
  </tr>`
}

const ends: { readonly [End in NonNullable<Status["end"]>]: string } = {
  Expired: "lease expired",
  Superseded: "another took over",
  LockDeleted: "lock was deleted",
  Resigned: "resigned",
  Shutdown: "shut down"
}

const time = (instant: DateTime.Utc): Html => {
  const iso = DateTime.formatIso(instant)
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)}</time>`
}

/** Filled in by the page itself, which goes on counting. */
const lasting = (since: DateTime.Utc, until?: DateTime.Utc): Html =>
  until === undefined
    ? html`<span data-since="${since.epochMilliseconds}"></span>`
    : html`<span data-since="${since.epochMilliseconds}" data-until="${until.epochMilliseconds}"></span>`
