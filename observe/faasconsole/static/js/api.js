// Requests to the admin API. Its address is relative to the page, so the page works below any path prefix.

/** An error answer of the API; see admin.Problem. */
export class Problem extends Error {
  constructor(status, doc) {
    super(doc.detail || doc.title || `The host answered ${status}.`);
    this.status = status;
    this.reason = doc.reason ?? "";
    this.option = doc.option ?? "";
  }
}

async function request(method, path, { query, body, signal } = {}) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === null || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) params.append(name, one);
  }
  const text = params.toString();
  const init = { method, signal, headers: { Accept: "application/json" }, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers["Content-Type"] = "application/json";
  }
  const answer = await fetch("v1/" + path + (text ? "?" + text : ""), init);
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  return answer.json();
}

export const get = (path, query, signal) => request("GET", path, { query, signal });
export const post = (path, body, query) => request("POST", path, { body, query });
export const put = (path, body, query) => request("PUT", path, { body, query });
export const remove = (path, query) => request("DELETE", path, { query });

/** Encodes a name as an element of a path. */
export const part = (name) => encodeURIComponent(name);

/** Returns whether the console has a login. */
export async function hasLogin() {
  const answer = await fetch("session", { cache: "no-store" }).catch(() => null);
  const doc = await answer?.json().catch(() => null);
  return Boolean(doc?.login);
}

/** Opens a session with a token. Throws an Error with a sentence if the host refuses the token. */
export async function logIn(token) {
  const answer = await fetch("session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }) });
  if (!answer.ok) throw new Error((await answer.text()).trim() || "The host did not take the token.");
}

export const logOut = () => fetch("session", { method: "DELETE" });
