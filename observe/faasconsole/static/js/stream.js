// One stream for all tabs of a browser, since a browser opens at most six connections to a host, and a
// stream uses one for as long as its tab is open. The tab that holds a Web Lock has the stream, and passes
// its frames on to the other tabs, if there are any. When that tab is closed, the next tab gets the lock, and
// resumes the stream after the last frame that it was passed.

/** Whether the tabs of this browser can share a stream. Web Locks exist only on https or a local address. */
export const canShare = () => Boolean(globalThis.EventSource && globalThis.BroadcastChannel && navigator.locks);

/** How long, in milliseconds, the tab with the stream may be silent before a visible tab takes the stream
 * over. A browser may freeze a hidden tab. */
const patience = 5000;

/** Returns a wait of 1 s, 2 s, 4 s, … up to 15 s, changed at random by up to a quarter, so that not all
 * pages return at once. */
export const backoff = (failures) => Math.min(15000, 1000 * 2 ** (failures - 1)) * (0.75 + Math.random() / 2);

/** Returns the name by which the tabs of a viewer share a stream. Viewers that differ in anything, such as a
 * role, may see different functions, and have different names. */
export const streamName = ({ kind, id, tenant, roles, rights }) => `faas ${location.pathname} ${JSON.stringify([kind, id, tenant ?? "", [...(roles ?? [])].sort(), [...rights].sort()])}`;

const sessionName = () => `faas ${location.pathname} session`;

/** Tells all tabs that the session of this browser was opened or ended. Their streams still belong to the
 * earlier session, so each tab leaves its stream, whichever viewer it shows. */
export function sessionChanged() {
  if (!canShare()) return;
  const tabs = new BroadcastChannel(sessionName());
  tabs.postMessage("leave");
  tabs.close();
}

/** Watches the host together with the other tabs that use the same name. onFrame gets each frame of the
 * stream: {id, text, columns, states}. onLost gets the time at which the host is asked again, in
 * milliseconds since 1970. onSession is called when the browser has another session and the stream must be
 * left. Returns a function that leaves the stream. */
export function watch(name, { onFrame, onLost, onSession }) {
  const tabs = new BroadcastChannel(name);
  const session = new BroadcastChannel(sessionName());
  session.onmessage = onSession;
  let left = false;
  let waiting = null; // cancels the wait for the lock
  let taking = false; // the next request takes the lock from the other tab
  let last = null; // the last frame, received by whichever tab
  let source = null; // the EventSource, if this tab has the stream
  let yieldUp = null; // gives the lock back; null: this tab does not have it
  let timer = 0;
  let failures = 0;
  let due = 0; // until then the tab with the stream may be silent
  let alone = false; // this tab has the stream, and no other tab waits for the lock
  let frames = 0; // how many frames this tab has received from the host
  let joined = 0; // how many tabs have said that they are new

  const heard = (until) => (due = until + patience * (1 + Math.random() / 4));

  tabs.onmessage = ({ data }) => {
    if (data.joined) return pass();
    heard(Math.max(Date.now(), data.retry ?? 0));
    if (data.retry) return onLost(data.retry);
    last = data;
    onFrame(data);
  };

  function received(e) {
    failures = 0;
    const full = e.data.includes('"full":true') ? JSON.parse(e.data) : last; // only full frames have the names
    last = { id: e.lastEventId, text: e.data, columns: full.columns, states: full.states };
    if (!alone) tabs.postMessage(last);
    if (frames++ % 4 === 0) count();
    onFrame(last);
  }

  // To pass a frame on takes as long as to read it, so a tab that is alone does not. It counts the waiting
  // tabs within their patience again, in case that it has missed one.
  async function count() {
    const before = joined;
    const { pending } = await navigator.locks.query();
    if (joined === before) alone = !pending.some((lock) => lock.name === name);
  }

  // A new tab has the list of functions of about this moment, and needs all frames since.
  function pass() {
    joined++;
    if (alone && last) tabs.postMessage(last);
    alone = false;
  }

  // The browser's own reconnection is not used: it repeats the old address, with an old since, and does
  // not say when it tries again.
  function open() {
    source = new EventSource("v1/events" + (last ? "?since=" + encodeURIComponent(last.id) : ""));
    source.addEventListener("frame", received);
    source.onerror = () => {
      close();
      failures++;
      const retry = Date.now() + backoff(failures);
      timer = setTimeout(open, retry - Date.now());
      tabs.postMessage({ retry });
      onLost(retry);
    };
  }

  function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
    alone = false;
  }

  // Waits for the lock again and again, or takes it from a silent tab. The lock is lost when another
  // tab takes it, and given back when this tab leaves.
  async function queue() {
    while (!left) {
      waiting = new AbortController();
      const options = taking ? { steal: true } : { signal: waiting.signal };
      taking = false;
      try {
        await navigator.locks.request(name, options, () => {
          if (left) return undefined;
          open();
          return new Promise((done) => (yieldUp = done));
        });
      } catch (e) {
        if (e.name !== "AbortError") await new Promise((on) => setTimeout(on, patience));
      }
      yieldUp = null;
      close();
      heard(Date.now()); // the tab that has the lock may need some time to begin
    }
  }

  const look = setInterval(() => {
    if (yieldUp || document.hidden || Date.now() < due) return;
    heard(Date.now());
    taking = true;
    waiting.abort();
  }, 1000);

  heard(Date.now());
  tabs.postMessage({ joined: true });
  queue();
  return () => {
    left = true;
    clearInterval(look);
    waiting.abort();
    yieldUp?.();
    close();
    tabs.close();
    session.close();
  };
}
