// Reads the URL, requests the data of its page, and draws the page whenever the data changes.

import { h, morph } from "./dom.js";
import { state, onChange, want, doc, touch, refresh, look } from "./store.js";
import { current } from "./route.js";
import { begin, draw } from "./chart.js";
import { frame, title, onKey, lost, pages as entries } from "./frame.js";
import { troubles } from "./judge.js";
import { tell, says } from "./parts.js";
import { hasLogin, logIn } from "./api.js";
import { sessionChanged } from "./stream.js";
import * as overview from "./pages/overview.js";
import * as functions from "./pages/functions.js";
import * as fn from "./pages/function.js";
import * as failures from "./pages/failures.js";
import * as tenants from "./pages/tenants.js";
import * as releases from "./pages/releases.js";
import * as jobs from "./pages/jobs.js";
import * as sources from "./pages/sources.js";
import * as process from "./pages/process.js";

const pages = { overview, functions, failures, tenants, releases, jobs, sources, process };
const main = document.getElementById("main");

const pageOf = (route) => (route.page === "functions" && route.name ? fn : (pages[route.page] ?? overview));

let route = current();
let planned = 0;
let shown = 0; // when the page was last drawn

/** Draws the page at the browser's next frame, once for all calls until then. A browser does not draw a
 * hidden tab; of that, only the title is updated. */
function plan() {
  if (document.hidden) headline();
  planned ||= requestAnimationFrame(show);
}

function headline() {
  const all = troubles(doc("functions")?.functions, doc("tenants")?.tenants);
  title(route.page === "functions" && route.name ? route.name : (entries.find((p) => p.page === route.page)?.name ?? "Overview"), all[0]?.state, all.length);
  return all;
}

function show() {
  planned = 0;
  const page = pageOf(route);
  if (state.login && !state.host) return logInView();
  want({ host: { path: "host", every: 5000 }, ...(state.host ? page.needs(route) : {}) });
  const all = headline();
  const worst = all[0];
  begin();
  const view = state.host ? page.view(route) : h("p", { class: "muted wait" }, state.conn === "lost" ? "The host does not answer. The page asks again by itself." : "Asking the host…"); // it looks where tables stand: before anything moves
  frame(route, (badges = counts(all)));
  document.body.classList.toggle("lost", state.conn === "lost");
  document.body.classList.toggle("paused", state.paused);
  morph(main, lost(), view);
  draw(main);
  if (worst) tell(`${worst.of?.name ?? worst.tenant?.tenant}: ${worst.kind}`);
  shown = Date.now();
}

let badges = {};

// On a paused page, only the number of missed frames is updated.
const missed = () => frame(route, badges);

// Updates times and ages, which change even if no data comes.
function tick() {
  look();
  if (document.hidden) return;
  if (state.paused && state.conn === "live") missed();
  else if (Date.now() - shown > 900) plan();
}

function counts(all) {
  const of = (test) => all.filter(test);
  const names = new Set(of((t) => t.of && t.kind !== "dead").map((t) => t.of.name));
  const budget = of((t) => t.kind === "budget");
  const dead = of((t) => t.kind === "dead");
  return {
    functions: names.size ? [all.find((t) => t.of && t.kind !== "dead").state, names.size, "need looking at"] : null,
    tenants: budget.length ? ["refusing", budget.length, "over budget"] : null,
    jobs: dead.length ? ["failing", dead.length, "with dead jobs"] : null,
  };
}

async function logInView() {
  const known = await hasLogin();
  state.hasLogin = known;
  if (document.getElementById("token")) return;
  document.getElementById("top").replaceChildren();
  document.getElementById("rail").replaceChildren();
  if (!known) {
    morph(main, says("none", "You are not logged in"), h("p", { class: "muted" }, "The host authenticates before this page, and your request had no credentials that it knows."));
    return;
  }
  const error = h("p", { class: "t-failing", role: "alert" });
  const form = h("form", { class: "login", onsubmit: async (e) => {
    e.preventDefault();
    error.textContent = "";
    try {
      await logIn(new FormData(form).get("token"));
      sessionChanged();
      state.login = false;
      form.remove();
      refresh();
      touch();
    } catch (x) {
      error.textContent = x.message;
      form.querySelector("input").focus();
    }
  } }, h("h1", null, "faas"), h("label", { class: "stack", for: "token" }, "Your token"), h("input", { id: "token", name: "token", type: "password", autocomplete: "current-password", required: true, autofocus: true }), error, h("button", { class: "btn main", type: "submit" }, "Log in"), h("p", { class: "muted small" }, "It is exchanged for a session of twelve hours, and not kept in this browser."));
  main.replaceChildren(form);
  form.querySelector("input").focus();
}

let opened = "";
function moved() {
  const next = current();
  const page = next.page !== route.page || next.name !== route.name;
  route = next;
  if (page && !(next.page === "jobs")) scrollTo(0, 0);
  const drawer = next.params.id ?? (next.page === "jobs" ? next.name : "");
  plan();
  if (drawer && drawer !== opened) requestAnimationFrame(() => setTimeout(() => document.getElementById("drawer-title")?.focus({ preventScroll: true }), 50));
  if (!drawer && opened) requestAnimationFrame(() => setTimeout(() => document.querySelector('tr[aria-selected="true"] a, .fails tr[data-row] a')?.focus({ preventScroll: true }), 50));
  opened = drawer;
}

onChange(plan, missed);
addEventListener("hashchange", moved);
addEventListener("keydown", onKey);
addEventListener("visibilitychange", () => document.visibilityState === "visible" && refresh());
setInterval(tick, 1000);
hasLogin().then((known) => (state.hasLogin = known));
plan();

