// The chart of what each tenant has spent since the window began, and will have spent at its end.

import { word } from "../dom.js";
import { amounts, minute } from "../format.js";
import { section } from "../parts.js";
import { chart, twin } from "../chart.js";
import { spending, over } from "../spend.js";

const most = 7; // tenants with a band of their own

/** Returns the section with the chart, for an answer of GET tenants with a book. */
export function spent(d) {
  const { began, moments } = spending(d);
  const [last, sums] = moments.at(-1);
  const end = d.end ? new Date(d.end).getTime() / 1000 : last;
  if (last - began < 60) return null; // too little time for a rate
  const is = (t) => sums[t.tenant] ?? 0;
  const will = (t) => Math.max(is(t), Math.min((is(t) * (end - began)) / (last - began), limitOf(t, d.book.currency)));
  const tenants = d.tenants.filter(is).toSorted((a, b) => is(b) - is(a));
  const paid = amounts([...tenants.map(will), total(tenants, will)]);
  const x = Array.from({ length: 121 }, (_, i) => began + (i * (end - began)) / 120);
  const values = (list) => {
    const [now, then] = [total(list, is), total(list, will)];
    return over(moments, x, (all) => total(list, (t) => all[t.tenant] ?? 0)).map((v, i) => v ?? now + ((then - now) * (x[i] - last)) / (end - last || 1));
  };
  const bands = tenants.slice(0, most).map((t) => [t.tenant || "no tenant", [t]]);
  if (tenants.length > most) bands.push([`${tenants.length - most} more`, tenants.slice(most)]);
  const [now, then] = [paid(total(tenants, is)), paid(total(tenants, will))];
  return section("spend", d.source === "ledger" ? "Spent today" : "Spent since the start", `${d.book.currency}, stacked by tenant${d.end ? `; pale: until ${minute(d.end)} at this rate, within each budget` : ""}`,
    twin("Spent by tenant", ["Tenant", "Spent", "At the end"], () => tenants.map((t) => [word(t.tenant || "no tenant"), paid(is(t)), paid(will(t))])),
    chart("spend", { label: `Spent by tenant: ${now} ${d.book.currency} so far${d.end ? `, ${then} at ${minute(d.end)} at this rate` : ""}.`, height: 240, left: 56, span: [began, end], x, pale: last, value: paid,
      events: [{ t: last, text: `${now} at ${minute(last * 1000)}` }, ...ends(tenants)],
      series: bands.map(([name, list], i) => ({ name, value: paid(total(list, will)), values: values(list), kind: "stack", token: `p${i + 1}` })) }));
}

const total = (list, of) => list.reduce((sum, t) => sum + of(t), 0);

// When budgets will be spent, of the first tenants for which that is in the window.
function ends(tenants) {
  const soon = tenants.filter((t) => t.budgets?.[0]?.exhausted).slice(0, 3);
  return soon.map((t) => ({ t: new Date(t.budgets[0].exhausted).getTime() / 1000, text: `${minute(t.budgets[0].exhausted)} ${t.tenant.slice(0, 20)} will have spent` }));
}

// The limit of a tenant's first budget, if it is an amount in that currency.
function limitOf(t, currency) {
  const [digits, unit] = (t.budgets?.[0]?.limit ?? "").split(" ");
  return unit === currency ? Number(digits) : Infinity;
}
