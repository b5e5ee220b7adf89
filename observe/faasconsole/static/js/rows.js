// Applies a frame of the stream to an answer of GET functions. It returns a new answer, and changes nothing
// else. A function that has not changed stays the same object, so that its elements on the page are kept.

/** Returns the answer with the rows of the frame. stale says that the answer must be requested again,
 * because its functions are not those of the frame: for example, one is new, or was removed. A function
 * that is in both gone and functions was removed and registered again: it stays, and the answer is stale. */
export function withFrame(answer, frame, columns, states) {
  const at = columnsAt(columns);
  const { functions, stale } = frame.full || frame.gone ? withList(answer.functions, frame, at, states) : withRows(answer.functions, frame.functions ?? {}, at, states);
  return { answer: { ...answer, functions, totals: withTotals(answer.totals, frame, functions.length, at) }, stale };
}

let known = { columns: null, at: null };

/** Returns the index of each column, by its name. */
function columnsAt(columns) {
  if (known.columns !== columns) known = { columns, at: Object.fromEntries(columns.map((name, i) => [name, i])) };
  return known.at;
}

const places = new WeakMap(); // a cache: list of functions → the index of each function, by its name

function placesOf(functions) {
  if (!places.has(functions)) places.set(functions, new Map(functions.map((f, i) => [f.name, i])));
  return places.get(functions);
}

// For most frames: the functions are the same as before, and few of them have changed.
function withRows(old, rows, at, states) {
  const functions = old.slice();
  const place = placesOf(old);
  places.set(functions, place);
  let stale = false;
  for (const name of Object.keys(rows)) {
    const i = place.get(name);
    if (functions[i]?.numbers) functions[i] = withRow(functions[i], rows[name], at, states);
    else stale = true;
  }
  return { functions, stale };
}

function withList(old, frame, at, states) {
  const rows = frame.functions ?? {};
  const gone = new Set(frame.gone ?? []);
  let met = 0;
  let missing = false;
  const functions = [];
  for (const f of old) {
    if (!Object.hasOwn(rows, f.name)) {
      if (frame.full && f.numbers) missing = true; // the function was removed, or the viewer may no longer see it
      if (!gone.has(f.name)) functions.push(f);
    } else if (f.numbers) {
      if (!gone.has(f.name)) met++;
      functions.push(withRow(f, rows[f.name], at, states));
    } else functions.push(f);
  }
  return { functions, stale: missing || met < Object.keys(rows).length };
}

function withRow(f, row, at, states) {
  const limit = row[at.limit];
  return { ...f, state: states[row[at.state]], limit: limit === -1 ? null : limit, numbers: numbersOf(f.numbers, row, at) };
}

function numbersOf(old, row, at) {
  return {
    ...old, inFlight: row[at.inFlight], queued: row[at.queued], runaways: row[at.runaways], instances: row[at.instances], ready: row[at.ready],
    minute: minuteOf(old.minute, row, at), jobs: jobsOf(old.jobs, row, at),
  };
}

// The percentiles in a row are of the last 10 to 20 seconds. If no call has ended since, the last known
// percentiles stay.
function minuteOf(old, row, at) {
  const calls = row[at.minuteCalls];
  const refused = row[at.minuteRefused];
  if (!Number(calls) && !Number(refused)) return null;
  const fresh = Number(row[at.runP99NS]) || !old;
  return {
    calls, failures: row[at.minuteFailures], refused, cold: row[at.minuteCold],
    wait: fresh ? { p50: row[at.waitP50NS], p95: row[at.waitP95NS], p99: row[at.waitP99NS] } : old.wait,
    run: fresh ? { p50: row[at.runP50NS], p95: row[at.runP95NS], p99: row[at.runP99NS] } : old.run,
  };
}

// A row does not say why jobs wait, so the numbers of waiting jobs by reason stay as they were.
function jobsOf(old, row, at) {
  const waiting = row[at.jobsWaiting];
  const running = row[at.jobsRunning];
  const dead = row[at.jobsDead];
  if (old) return old.running === running && old.dead === dead ? old : { ...old, running, dead };
  if (!Number(waiting) && !Number(running) && !Number(dead)) return old;
  return { scheduled: 0, ready: waiting, running, parked: 0, succeeded: 0, dead, canceled: 0, bytes: 0 };
}

function withTotals(old, frame, functions, at) {
  const capacity = frame.capacity ?? old.capacity;
  if (!frame.totals) return { ...old, capacity };
  const { inFlight, queued, runaways, minute, jobs } = numbersOf(old, frame.totals, at);
  return { ...old, functions, inFlight, queued, runaways, capacity, minute: minute ?? { ...old.minute, calls: 0, failures: 0, refused: 0, cold: 0 }, jobs: jobs ?? old.jobs };
}
