// Where the viewer is: all of it stands in the part of the URL behind #, so that a link shows
// a colleague the same.

let read = { hash: null, route: null };

/** The route of the URL: {page, name, params}. */
export function current() {
  if (read.hash !== location.hash) read = { hash: location.hash, route: parsed() };
  return read.route;
}

function parsed() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, ...rest] = path.split("/").map((p) => {
    try {
      return decodeURIComponent(p);
    } catch {
      return p;
    }
  });
  return { page: page || "overview", name: rest.join("/"), params: Object.fromEntries(new URLSearchParams(query ?? "")) };
}

/** A link to a page. The range goes along. */
export function link(page, name, params) {
  const all = new URLSearchParams();
  const range = current().params.range;
  if (range) all.set("range", range);
  for (const [k, v] of Object.entries(params ?? {})) {
    if (v === undefined || v === null || v === "") all.delete(k);
    else all.set(k, v);
  }
  const text = all.toString();
  return "#/" + page + (name ? "/" + encodeURIComponent(name) : "") + (text ? "?" + text : "");
}

/** A link to where the viewer is, with other parameters. */
export function here(params) {
  const now = current();
  return link(now.page, now.name, { ...now.params, ...params });
}

/** Goes there. With replace, the step back leads to where the viewer came from. */
export function go(to, replace) {
  if (replace) {
    history.replaceState(null, "", to);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = to;
}

/** The ranges: how far back, by what step of the API, how often it is asked. */
export const ranges = {
  "5m": { name: "5 m", words: "last 5 minutes", seconds: 300, step: "1s", every: 2000 },
  "1h": { name: "1 h", words: "last hour", seconds: 3600, step: "10s", every: 10000 },
  "24h": { name: "24 h", words: "last 24 hours", seconds: 86400, step: "1m", every: 60000 },
};

export const range = (route) => ranges[route.params.range] ?? ranges["1h"];
