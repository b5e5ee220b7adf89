package ledgersqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/inproc/faas"
)

// Counters has the numbers of calls that routers have counted while a ledger was open. As
// JSON it can be sent to another process, for example to the command reconcile.
type Counters struct {
	Session   int64              `json:"session"`   // the session of the ledger: each Open begins one
	Functions map[string]Counter `json:"functions"` // of each registered function
	All       Counter            `json:"all"`       // of all functions, including those that were removed
}

// Counter has a router's counts of calls.
type Counter struct {
	Admitted uint64 `json:"admitted"`
	InFlight uint64 `json:"in_flight"` // admitted and not yet settled
}

func (c Counter) plus(d Counter) Counter {
	return Counter{Admitted: c.Admitted + d.Admitted, InFlight: c.InFlight + d.InFlight}
}

// Difference is a function for which the ledger's count differs from the router's.
type Difference struct {
	// Function is the name of the function, or empty for the sum of all functions.
	Function string
	// Counter has the router's counts, and Recorded is the ledger's count.
	Counter
	Recorded uint64
}

// String describes the difference on one line.
func (d Difference) String() string {
	name := cmp.Or(d.Function, "all functions")
	if settled := d.Admitted - min(d.InFlight, d.Admitted); d.Recorded < settled {
		return fmt.Sprintf("%s: %d admitted, %d of them in flight, %d recorded: %d missing", name, d.Admitted, d.InFlight, d.Recorded, settled-d.Recorded)
	}
	return fmt.Sprintf("%s: %d admitted, %d of them in flight, %d recorded: %d too many", name, d.Admitted, d.InFlight, d.Recorded, d.Recorded-d.Admitted)
}

// Counters reads the counters of the routers that have this ledger as their meter. The
// routers must not have counted calls before the ledger was opened, and all their calls must
// be recorded in this ledger. The counters are exact while no calls start or end, for example
// after Shutdown.
func (l *Ledger) Counters(rs ...*faas.Router) Counters {
	c := Counters{Session: l.w.session, Functions: map[string]Counter{}}
	for _, r := range rs {
		for info := range r.Functions() {
			c.Functions[info.Name] = c.Functions[info.Name].plus(Counter{info.Admitted, count(info.InFlight)})
		}
		s := r.Stats()
		c.All = c.All.plus(Counter{s.Admitted, count(s.InFlight)})
	}
	return c
}

func count(n int) uint64 { return uint64(max(n, 0)) }

// Counts returns how many executions of each function were stored in a session. Each Open
// begins a session; [Counters] has its number. If there is no such session, the error Is
// ErrNotFound. Counts reads all rows that were stored since the session began.
func (r *Reader) Counts(ctx context.Context, session int64) (map[string]uint64, error) {
	counts, err := r.counts(ctx, session)
	return counts, wrap("read", r.path, uuid.Nil, err)
}

// counts looks only at the rows that were added after the session began, and not at the whole
// table.
func (r *Reader) counts(ctx context.Context, session int64) (map[string]uint64, error) {
	var before int64
	err := r.db.QueryRowContext(ctx, `SELECT before FROM sessions WHERE seq = ?`, session).Scan(&before)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: session %d", ErrNotFound, session)
	}
	if err != nil {
		return nil, err
	}
	rows, err := r.db.QueryContext(ctx, `SELECT function, count(*) FROM executions WHERE seq > ? AND session = ? GROUP BY function`, before, session)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[string]uint64{}
	for rows.Next() {
		var function string
		var n uint64
		if err := rows.Scan(&function, &n); err != nil {
			return nil, err
		}
		counts[function] = n
	}
	return counts, rows.Err()
}

// Reconcile compares the number of stored records with the number of counted calls. It
// returns the differences, that of the sum of all functions first. It returns nil if the
// ledger has exactly one record for each call.
//
// For a call that was in flight, a record may or may not exist. A function with more records
// than calls is a difference only if the sum has too many records as well: the function may
// have been removed and registered again, which resets its counts.
func (r *Reader) Reconcile(ctx context.Context, c Counters) ([]Difference, error) {
	recorded, err := r.Counts(ctx, c.Session)
	if err != nil {
		return nil, err
	}
	all := Difference{Counter: c.All}
	for _, n := range recorded {
		all.Recorded += n
	}
	var found []Difference
	if all.missing() || all.surplus() {
		found = append(found, all)
	}
	names := slices.Sorted(maps.Keys(recorded))
	for name := range c.Functions {
		if _, ok := recorded[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		d := Difference{Function: name, Counter: c.Functions[name], Recorded: recorded[name]}
		if d.missing() || d.surplus() && all.surplus() {
			found = append(found, d)
		}
	}
	return found, nil
}

// missing reports whether calls have ended without a record.
func (d Difference) missing() bool { return d.Recorded+d.InFlight < d.Admitted }

// surplus reports whether there are more records than calls.
func (d Difference) surplus() bool { return d.Recorded > d.Admitted }
