// Tenants: what they spend, and how much of their budgets is left.

import { h, mark, word, standing } from "../dom.js";
import { doc, problem, has, may, writes, refresh } from "../store.js";
import { put, part as path } from "../api.js";
import { link } from "../route.js";
import { n, digits, percent, money, amount, amounts, minute, plural, count, duration } from "../format.js";
import { still } from "../chart.js";
import { spent } from "./spent.js";
import { says, section, table, number, share, absent, yours, bar, ask } from "../parts.js";

export function needs() {
  return { functions: { path: "functions", every: 5000 }, ...(has("ledger") || has("recorder") ? { tenants: { path: "tenants", every: 5000 } } : {}) };
}

export function view() {
  const d = doc("tenants");
  if (!has("ledger") && !has("recorder")) return [says("none", "Tenants"), absent({ option: "WithLedger" })];
  if (!d) return [says("none", "Tenants"), absent(problem("tenants"))];
  const list = d.tenants;
  const over = list.filter((t) => t.budgets?.some((b) => b.part >= 1 || b.refused));
  const soon = list.filter((t) => !over.includes(t) && t.budgets?.some((b) => b.exhausted));
  const sum = list.reduce((t, one) => t + Number(one.list ?? 0), 0);
  return [
    h("div", { class: "head", "data-key": "head" }, over.length ? says("refusing", [over.slice(0, 3).map((t, i) => [i ? ", " : "", word(t.tenant || "callers without a tenant")]), over.length > 3 ? ` and ${over.length - 3} more` : "", over.length === 1 ? " has spent its budget" : " have spent their budgets", turnedAway(over)], note(soon, d, sum))
      : says(list.length ? "well" : "none", list.some((t) => t.budgets?.length) ? `Every tenant${yours()} is within its budget` : list.length ? plural(list.length, "tenant", "tenants") : `No call${yours()} has ended yet`, note(soon, d, sum)),
      writes() && may("manage") && list.some((t) => t.budgets?.length) ? h("div", { class: "acts" }, h("button", { class: "btn", type: "button", onclick: () => raise(list, over[0] ?? soon[0]) }, "Change a budget…")) : null),
    list.length ? rows(list, d) : h("p", { class: "muted" }, "A call has a tenant by ", h("code", null, "faas.WithTenant(ctx, name)"), "."),
    list.length && d.book ? still(standing("spend"), [d, location.hash], () => spent(d)) : null,
  ];
}

// Asks for an account of a budget, and its new limit. first is the tenant whose budget is chosen at the beginning.
function raise(list, first) {
  const all = list.flatMap((t) => (t.budgets ?? []).map((b) => ({ ...b, tenant: t })));
  const at = Math.max(0, all.findIndex((b) => b.tenant === first));
  const limit = h("input", { type: "text", name: "limit", autocomplete: "off", autofocus: true, required: true, value: all[at].limit });
  const spent = h("p", { class: "muted" });
  const say = (b) => (spent.textContent = `${short(b.spent)} of ${short(b.limit)} spent in this window, which ends at ${minute(b.end)} UTC.`);
  const chosen = h("select", { name: "at", onchange: (e) => { const b = all[Number(e.target.value)]; limit.value = b.limit; say(b); } },
    all.map((b, i) => h("option", { value: String(i), selected: i === at }, `${b.account || "no tenant"}${list.some((t) => (t.budgets?.length ?? 0) > 1) ? `, ${b.budget}` : ""}`)));
  say(all[at]);
  ask({ title: "Change a budget", label: "Set the limit", body: [h("label", { class: "stack" }, "Tenant", chosen), spent, h("label", { class: "stack" }, "Limit of each window, until the host restarts", limit)],
    done: async (form) => {
      const b = all[Number(form.get("at"))];
      await put(`budgets/${path(b.budget)}/limit`, { account: b.account, limit: form.get("limit").trim() });
      refresh();
    } });
}

// An amount of money with few digits; other amounts as they are.
const short = (text) => { const [, digits_, currency] = /^([\d.]+) ([A-Z]+)$/.exec(text) ?? []; return currency ? `${money(digits_)}\u00a0${currency}` : text; };

function note(soon, d, sum) {
  return [soon.map((t) => h("span", null, mark("none", true), h("span", null, word(t.tenant), ` will have spent its budget about ${minute(t.budgets.find((b) => b.exhausted).exhausted)}`))).slice(0, 3),
    d.book ? h("span", { class: "muted" }, `${amount(sum, d.book.currency).join("\u00a0")} ${d.source === "ledger" ? "today" : "since the start"}, by the list prices of ${d.book.name}`) : null];
}

/** Returns how many calls of a tenant were refused, for whatever reason. */
const refusedOf = (t) => Object.values(t.refused ?? {}).reduce((sum, v) => sum + n(v), 0);

// How many calls were refused because of budgets that are spent.
function turnedAway(over) {
  const calls = over.reduce((sum, t) => sum + n(t.refused?.budget), 0);
  return calls ? ["; ", h("span", { class: "t-refusing" }, count(calls)), ` of ${over.length === 1 ? "its" : "their"} calls ${calls === 1 ? "was" : "were"} refused`] : "";
}

/** Returns whether a budget is spent. */
const over = (b) => Boolean(b && (b.part >= 1 || b.refused));

// The reasons are shown on hover.
function refused(t, bad) {
  const cell = number(refusedOf(t), { bad: bad && "refusing" });
  if (t.refused) cell.title = Object.entries(t.refused).map(([reason, v]) => `${reason} ${count(v)}`).join(", ");
  return cell;
}

const most = 200; // the most rows; of the others there is only the number

function rows(list, d) {
  const time = list.reduce((t, one) => t + n(one.durationNS), 0);
  const b = (t) => t.budgets?.[0];
  const paid = amounts(list.map((t) => t.list ?? 0));
  const capped = list.some(b);
  const fair = 1 / Math.max(1, list.length);
  const part = (t) => percent(n(t.durationNS), time);
  return section("tenants", "Tenants", `by what they have spent ${d.source === "ledger" ? "today" : "since the start"}${list.some((t) => t.refused) && d.source === "ledger" ? "; refused since the start" : ""}`, null, table({
    id: "tenants", caption: "Tenants", rows: list.toSorted((x, y) => Number(y.list ?? 0) - Number(x.list ?? 0)).slice(0, most), key: (t) => "t:" + t.tenant, order: "-spent", basis: [d],
    columns: [
      { name: "tenant", title: "Tenant", first: "", sort: (t) => t.tenant, of: (t) => over(b(t)), cell: (t) => h("span", { class: "fn" }, mark(over(b(t)) ? "refusing" : "well"), h("a", { href: link("failures", "", { tenant: t.tenant }), title: t.tenant }, t.tenant ? word(t.tenant) : h("span", { class: "muted" }, "no tenant"))) },
      d.book && { name: "spent", title: `Spent, ${d.book.currency}`, class: "n", sort: (t) => Number(t.list ?? 0), of: (t) => paid(t.list ?? 0), cell: (t) => number(Number(t.list ?? 0), { text: paid(t.list ?? 0) }) },
      capped && { name: "limit", title: `Budget, ${d.book?.currency ?? ""}`, class: "n p2 p2x", sort: (t) => Number(b(t)?.limit?.split(" ")[0] ?? 0), of: (t) => b(t)?.limit, cell: (t) => (b(t) ? `${money(b(t).limit.split(" ")[0])}` : h("span", { class: "zero" }, "none")) },
      capped && { name: "part", title: "Budget used", class: "barc p2", sort: (t) => b(t)?.part ?? 0, of: (t) => `${b(t)?.part} ${b(t)?.exhausted} ${over(b(t))}`, cell: (t) => (b(t) ? bar(`${digits(100 * b(t).part)} % of the budget`, b(t).exhausted ? [1, "proj"] : [0, ""], [b(t).part, over(b(t)) ? "over" : ""]) : "") },
      capped && { name: "ends", title: "Budget ends", class: "p3", of: (t) => `${b(t)?.end} ${b(t)?.exhausted} ${over(b(t))}`, cell: (t) => (!b(t) ? "" : over(b(t)) ? h("span", { class: "bad refusing" }, `until ${minute(b(t).end)}`) : b(t).exhausted ? `about ${minute(b(t).exhausted)}` : h("span", { class: "zero" }, "not in this window")) },
      { name: "bar", title: "Slot time, and an equal share", class: "barc p4", label: false, of: part, cell: (t) => bar(`${part(t)} % of the slot time; an equal share is ${digits(100 * fair)} %`, [n(t.durationNS) / (time || 1), ""], [fair, "fair"]) },
      { name: "time", title: "%", label: "slot time, %", class: "n p3", sort: (t) => n(t.durationNS), of: part, cell: (t) => share(t.durationNS, time) },
      { name: "run", title: "Run", class: "n p4", sort: (t) => n(t.durationNS), of: (t) => duration(t.durationNS), cell: (t) => h("td", { class: "n" }, duration(t.durationNS)) },
      { name: "calls", title: "Calls", class: "n", sort: (t) => n(t.calls), of: (t) => t.calls, cell: (t) => number(t.calls, { text: count(t.calls) }) },
      { name: "errors", title: "Errors, %", class: "n", sort: (t) => n(t.failures) / Math.max(1, n(t.calls)), of: (t) => percent(n(t.failures), n(t.calls)), cell: (t) => share(t.failures, t.calls, n(t.failures) / n(t.calls) >= 0.05 && "failing") },
      list.some((t) => t.refused) && { name: "refused", title: "Refused", class: "n p2", sort: refusedOf, of: (t) => `${refusedOf(t)} ${over(b(t))}`, cell: (t) => refused(t, over(b(t))) },
      { name: "functions", title: "Functions", class: "n p4", sort: (t) => n(t.functions), of: (t) => t.functions, cell: (t) => number(t.functions) },
    ].filter(Boolean),
  }), list.length > most ? h("p", { class: "small muted" }, `and ${list.length - most} more, folded`) : null);
}

