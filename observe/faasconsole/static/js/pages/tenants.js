// Tenants: what they spend, and how much of their budgets is left.

import { h, mark, word } from "../dom.js";
import { doc, problem, has } from "../store.js";
import { link } from "../route.js";
import { n, digits, money, amount, amounts, minute, plural, count, duration } from "../format.js";
import { says, section, table, number, share, absent, yours, bar } from "../parts.js";

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
    over.length ? says("refusing", [over.slice(0, 3).map((t, i) => [i ? ", " : "", word(t.tenant || "callers without a tenant")]), over.length > 3 ? ` and ${over.length - 3} more` : "", over.length === 1 ? " has spent its budget" : " have spent their budgets"], note(soon, d, sum))
      : says(list.length ? "well" : "none", list.some((t) => t.budgets?.length) ? `Every tenant${yours()} is within its budget` : list.length ? plural(list.length, "tenant", "tenants") : `No call${yours()} has ended yet`, note(soon, d, sum)),
    list.length ? rows(list, d) : h("p", { class: "muted" }, "A call has a tenant by ", h("code", null, "faas.WithTenant(ctx, name)"), "."),
  ];
}

function note(soon, d, sum) {
  return [soon.map((t) => h("span", null, mark("none", true), h("span", null, word(t.tenant), ` will have spent its budget about ${minute(t.budgets.find((b) => b.exhausted).exhausted)}`))).slice(0, 3),
    d.book ? h("span", { class: "muted" }, `${amount(sum, d.book.currency).join("\u00a0")} ${d.source === "ledger" ? "today" : "since the start"}, by the list prices of ${d.book.name}`) : null];
}

const most = 200; // the most rows; the others are added up in one

function rows(list, d) {
  const time = list.reduce((t, one) => t + n(one.durationNS), 0);
  const b = (t) => t.budgets?.[0];
  const paid = amounts(list.map((t) => t.list ?? 0));
  const capped = list.some(b);
  const fair = 1 / Math.max(1, list.length);
  return section("tenants", "Tenants", `by what they have spent ${d.source === "ledger" ? "today" : "since the start"}`, null, table({
    id: "tenants", caption: "Tenants", rows: list.toSorted((x, y) => Number(y.list ?? 0) - Number(x.list ?? 0)).slice(0, most), key: (t) => "t:" + t.tenant, order: "-spent",
    columns: [
      { name: "tenant", title: "Tenant", first: "", sort: (t) => t.tenant, cell: (t) => h("span", { class: "fn" }, mark(b(t) && (b(t).part >= 1 || b(t).refused) ? "refusing" : "well"), h("a", { href: link("failures", "", { tenant: t.tenant }), title: t.tenant }, t.tenant ? word(t.tenant) : h("span", { class: "muted" }, "no tenant"))) },
      d.book && { name: "spent", title: `Spent, ${d.book.currency}`, class: "n", sort: (t) => Number(t.list ?? 0), cell: (t) => number(Number(t.list ?? 0), { text: paid(t.list ?? 0) }) },
      capped && { name: "limit", title: `Budget, ${d.book?.currency ?? ""}`, class: "n", sort: (t) => Number(b(t)?.limit?.split(" ")[0] ?? 0), cell: (t) => (b(t) ? `${money(b(t).limit.split(" ")[0])}` : h("span", { class: "zero" }, "none")) },
      capped && { name: "part", title: "Budget used", class: "barc p2", sort: (t) => b(t)?.part ?? 0, cell: (t) => (b(t) ? bar(`${digits(100 * b(t).part)} % of the budget`, b(t).exhausted ? [1, "proj"] : [0, ""], [b(t).part, b(t).part >= 1 || b(t).refused ? "over" : ""]) : "") },
      capped && { name: "ends", title: "Budget ends", class: "p3", cell: (t) => (!b(t) ? "" : b(t).part >= 1 || b(t).refused ? h("span", { class: "bad refusing" }, `until ${minute(b(t).end)}`) : b(t).exhausted ? `about ${minute(b(t).exhausted)}` : h("span", { class: "zero" }, "not in this window")) },
      { name: "bar", title: "Slot time, and an equal share", class: "barc p4", label: false, cell: (t) => bar(`${digits((100 * n(t.durationNS)) / (time || 1))} % of the slot time; an equal share is ${digits(100 * fair)} %`, [n(t.durationNS) / (time || 1), ""], [fair, "fair"]) },
      { name: "time", title: "%", label: "slot time, %", class: "n p3", sort: (t) => n(t.durationNS), cell: (t) => share(t.durationNS, time) },
      { name: "run", title: "Run", class: "n p4", sort: (t) => n(t.durationNS), cell: (t) => h("td", { class: "n" }, duration(t.durationNS)) },
      { name: "calls", title: "Calls", class: "n", sort: (t) => n(t.calls), cell: (t) => number(t.calls, { text: count(t.calls) }) },
      { name: "errors", title: "Errors, %", class: "n", sort: (t) => n(t.failures) / Math.max(1, n(t.calls)), cell: (t) => share(t.failures, t.calls, n(t.failures) / n(t.calls) >= 0.05 && "failing") },
      { name: "functions", title: "Functions", class: "n p4", sort: (t) => n(t.functions), cell: (t) => number(t.functions) },
    ].filter(Boolean).map((c) => ({ ...c, of: () => d })),
  }), list.length > most ? h("p", { class: "small muted" }, `and ${list.length - most} more, folded`) : null);
}

