// One stream for all tabs of a browser: each host allows a browser six connections, and a stream
// holds one for as long as its tab is open. The tab that holds a Web Lock has the stream and hands
// its frames on; when it is closed, the lock goes to the next tab, which goes on from the last frame
// that it was handed.

/** Whether the tabs of this browser can share a stream. Web Locks need https or a local address. */
export const canShare = () => Boolean(globalThis.EventSource && globalThis.BroadcastChannel && navigator.locks);

/** By how long a tab in sight lets the others be silent before it takes the stream for itself: a browser
 * may freeze a tab that is not looked at. */
const patience = 5000;

/** 1 s, 2 s, 4 s, … 15 s, by up to a quarter longer or shorter, so that not all pages come at once. */
export const backoff = (failures) => Math.min(15000, 1000 * 2 ** (failures - 1)) * (0.75 + Math.random() / 2);

/** By what name the tabs of a viewer share a stream. Viewers who differ in anything, such as a role, may see other
 * functions, and have other names. */
export const streamName = ({ kind, id, tenant, roles, rights }) => `faas ${location.pathname} ${JSON.stringify([kind, id, tenant ?? "", [...(roles ?? [])].sort(), [...rights].sort()])}`;

const sessionName = () => `faas ${location.pathname} session`;

/** Tells all tabs, whichever viewer they show, that the session of this browser was opened or ended. A stream that
 * is open is still that of the session before: each tab leaves its own. */
export function sessionChanged() {
  if (!canShare()) return;
  const tabs = new BroadcastChannel(sessionName());
  tabs.postMessage("leave");
  tabs.close();
}

/** Watches the host together with the other tabs that say the same name. onFrame gets each frame
 * of the stream: {id, text, columns, states}; onLost gets when the host is asked again, in milliseconds
 * since 1970; onSession says that the stream is to be left, since the browser's session is another one. Returns a
 * function that leaves. */
export function watch(name, { onFrame, onLost, onSession }) {
  const tabs = new BroadcastChannel(name);
  const session = new BroadcastChannel(sessionName());
  session.onmessage = onSession;
  let left = false;
  let waiting = null; // ends the wait for the lock
  let taking = false; // the next request takes it
  let last = null; // the last frame, whichever tab has received it
  let source = null; // of the tab that has the stream
  let yieldUp = null; // gives the lock back; null: another tab has it
  let timer = 0;
  let failures = 0;
  let due = 0; // until when the tab that has the stream need not be heard

  const heard = (until) => (due = until + patience * (1 + Math.random() / 4));

  tabs.onmessage = ({ data }) => {
    heard(Math.max(Date.now(), data.retry ?? 0));
    if (data.retry) return onLost(data.retry);
    last = data;
    onFrame(data);
  };

  function received(e) {
    failures = 0;
    const full = e.data.includes('"full":true') ? JSON.parse(e.data) : last; // names stand in full frames only
    last = { id: e.lastEventId, text: e.data, columns: full.columns, states: full.states };
    tabs.postMessage(last);
    onFrame(last);
  }

  // The browser's own way to connect again knows neither a new address nor when it will be.
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
  }

  // Waits for the lock, again and again, or takes it from a silent tab. It is lost when another tab takes
  // it, and given back when this tab leaves.
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
      heard(Date.now()); // the tab that has taken it may be busy with that
    }
  }

  const look = setInterval(() => {
    if (yieldUp || document.hidden || Date.now() < due) return;
    heard(Date.now());
    taking = true;
    waiting.abort();
  }, 1000);

  heard(Date.now());
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
