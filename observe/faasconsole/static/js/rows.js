// Applies a frame of the stream to an answer of GET functions. It returns a new answer, and changes nothing
// else. A function that has not changed stays the same object, so that its elements on the page are kept.

/** Returns the answer with the rows of the frame. stale says that the answer must be requested again,
 * because its functions are not those of the frame: for example, one is new, or was removed. A function
 * that is in both gone and functions was removed and registered again: it stays, and the answer is stale. */
export function withFrame(answer, frame, columns, states) {
  const at = Object.fromEntries(columns.map((name, i) => [name, i]));
  const rows = frame.functions ?? {};
  const gone = new Set(frame.gone ?? []);
  let met = 0;
  let missing = false;
  const functions = answer.functions.map((f) => {
    if (!Object.hasOwn(rows, f.name)) {
      missing ||= Boolean(frame.full && f.numbers); // the function was removed, or the viewer may no longer see it
      return f;
    }
    if (!f.numbers) return f;
    if (!gone.has(f.name)) met++;
    return withRow(f, rows[f.name], at, states);
  }).filter((f) => !gone.has(f.name) || Object.hasOwn(rows, f.name));
  return {
    answer: { ...answer, functions, totals: withTotals(answer.totals, frame, functions.length, at) },
    stale: missing || met < Object.keys(rows).length,
  };
}

function withRow(f, row, at, states) {
  const of = (name) => row[at[name]];
  const limit = of("limit") === -1 ? null : of("limit");
  return { ...f, state: states[of("state")], limit, numbers: numbersOf(f.numbers, of) };
}

function numbersOf(old, of) {
  return {
    ...old, inFlight: of("inFlight"), queued: of("queued"), runaways: of("runaways"), instances: of("instances"), ready: of("ready"),
    minute: minuteOf(old.minute, of), jobs: jobsOf(old.jobs, of),
  };
}

// The percentiles in a row are of the last 10 to 20 seconds. If no call has ended since, the last known
// percentiles stay.
function minuteOf(old, of) {
  const [calls, refused] = [of("minuteCalls"), of("minuteRefused")];
  if (!Number(calls) && !Number(refused)) return null;
  const times = (name) => ({ p50: of(name + "P50NS"), p95: of(name + "P95NS"), p99: of(name + "P99NS") });
  const fresh = { wait: times("wait"), run: times("run") };
  const { wait, run } = Number(fresh.run.p99) || !old ? fresh : old;
  return { calls, failures: of("minuteFailures"), refused, cold: of("minuteCold"), wait, run };
}

// A row does not say why jobs wait, so the numbers of waiting jobs by reason stay as they were.
function jobsOf(old, of) {
  const [waiting, running, dead] = [of("jobsWaiting"), of("jobsRunning"), of("jobsDead")];
  if (old) return { ...old, running, dead };
  if (!Number(waiting) && !Number(running) && !Number(dead)) return old;
  return { scheduled: 0, ready: waiting, running, parked: 0, succeeded: 0, dead, canceled: 0, bytes: 0 };
}

function withTotals(old, frame, functions, at) {
  const capacity = frame.capacity ?? old.capacity;
  if (!frame.totals) return { ...old, capacity };
  const of = (name) => frame.totals[at[name]];
  const { inFlight, queued, runaways, minute, jobs } = numbersOf(old, of);
  return { ...old, functions, inFlight, queued, runaways, capacity, minute: minute ?? { ...old.minute, calls: 0, failures: 0, refused: 0, cold: 0 }, jobs: jobs ?? old.jobs };
}
