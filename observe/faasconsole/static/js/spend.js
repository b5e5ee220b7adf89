// What tenants have spent in the present window, over time. The host keeps only the sums until now, so the page notes the sums
// that it gets. At the beginning of the window the sums were 0. Between two known moments spending is drawn as a straight line.

import { state } from "./store.js";

const apart = 60; // seconds between two moments that are kept
let kept = { answer: null, began: 0, sum: 0, moments: [] };

const secondsOf = (t) => new Date(t).getTime() / 1000;

/** Notes an answer of GET tenants. Returns when the window began, or the host if that was later, in seconds since 1970, and all
 * known moments since, the oldest first: {began, moments: [[seconds, {tenant: amount}]]}. */
export function spending(answer) {
  if (kept.answer === answer) return kept;
  const began = Math.max(secondsOf(answer.start), secondsOf(state.host?.started ?? answer.start));
  const amounts = Object.fromEntries(answer.tenants.map((t) => [t.tenant, Number(t.list ?? 0)]));
  const sum = Object.values(amounts).reduce((a, b) => a + b, 0);
  const moments = kept.began === began && sum >= kept.sum ? kept.moments.slice() : [[began, {}]]; // another window, or another host
  const [last, before] = [moments.at(-1), moments.at(-2)];
  if (before && last[0] - before[0] < apart) moments.pop();
  moments.push([Math.max(began, secondsOf(answer.now)), amounts]);
  return (kept = { answer, began, sum, moments });
}

/** Returns the value of of(amounts) at each time of x, which ascends. After the last known moment that is null. */
export function over(moments, x, of) {
  let i = 0;
  const known = moments.map(([, amounts]) => of(amounts));
  return x.map((t) => {
    while (i < moments.length - 1 && moments[i + 1][0] <= t) i++;
    const [from, to] = [moments[i], moments[i + 1]];
    if (!to) return t <= from[0] ? known[i] : null;
    return known[i] + ((known[i + 1] - known[i]) * Math.max(0, t - from[0])) / (to[0] - from[0] || 1);
  });
}
