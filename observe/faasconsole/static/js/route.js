// The viewer's place in the page. All of it is in the URL's fragment, the part after #, so that a link
// shows another viewer the same.

let read = { hash: null, route: null };

/** Returns the route in the URL: {page, name, params}. */
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

/** Returns a link to a page. It keeps the present range. */
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

/** Returns a link to the present page with other parameters. */
export function here(params) {
  const now = current();
  return link(now.page, now.name, { ...now.params, ...params });
}

/** Goes to a link. With replace, the browser's Back button skips the present page. */
export function go(to, replace) {
  if (replace) {
    history.replaceState(null, "", to);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = to;
}

/** The ranges: how far they go back, the step of the API, and how often it is requested. */
export const ranges = {
  "5m": { name: "5 m", words: "last 5 minutes", seconds: 300, step: "1s", every: 2000 },
  "1h": { name: "1 h", words: "last hour", seconds: 3600, step: "10s", every: 10000 },
  "24h": { name: "24 h", words: "last 24 hours", seconds: 86400, step: "1m", every: 60000 },
};

export const range = (route) => ranges[route.params.range] ?? ranges["1h"];
