package faaspg

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/source"
)

// batch is the largest number of rows that a pass takes.
const batch = 128

// row is a row that was taken.
type row struct {
	seq          int64
	tenant       string
	ordered      bool
	job, payload []byte
}

// outlook says what a pass has found out about the next one.
type outlook int

const (
	outlookNone    outlook = iota // nothing is left to take until something changes
	outlookMore                   // there may be more rows to take
	outlookCrowded                // there may be more rows, of tenants that already have their half of the window
)

// takeAll takes rows and gives them to sink, until ctx ends or the database fails. It is called
// on Run's goroutine.
func (r *Relay) takeAll(ctx context.Context, sink source.Sink) error {
	for {
		r.held.takeFreed()
		n, next, err := r.pass(ctx, sink)
		if err != nil {
			return err
		}
		if err := r.settleDown(ctx, n); err != nil {
			return err
		}
		if err := r.rest(ctx, n, next); err != nil {
			return err
		}
	}
}

// pass takes rows once and gives them to sink. It returns how many it took, and the outlook.
func (r *Relay) pass(ctx context.Context, sink source.Sink) (int, outlook, error) {
	room, _ := r.held.room(r.set.window, nil)
	if room = min(room, batch); room == 0 {
		return 0, outlookCrowded, nil
	}
	tenants, all, err := r.tenants(ctx, room)
	if err != nil || len(tenants) == 0 {
		return 0, outlookNone, err
	}
	_, each := r.held.room(r.set.window, tenants)
	shares := share(room, each)
	rows, err := r.take(ctx, tenants, shares)
	for i := 0; i < len(rows) && err == nil; i++ {
		err = r.give(ctx, sink, rows, i)
	}
	return len(rows), foresee(rows, tenants, shares, all), err
}

// share divides n rows among tenants. room says how many rows each can take. The tenants get
// one row each in turn, until the rows or the room are used up.
func share(n int, room []int) []int {
	shares := make([]int, len(room))
	for gave := true; gave; {
		gave = false
		for i := range room {
			if n > 0 && shares[i] < room[i] {
				shares[i]++
				n--
				gave = true
			}
		}
	}
	return shares
}

// foresee returns the outlook after a pass. all says that no other tenant has rows.
func foresee(rows []row, tenants []string, shares []int, all bool) outlook {
	took := map[string]int{}
	for i := range rows {
		took[rows[i].tenant]++
	}
	next := outlookNone
	for i, t := range tenants {
		switch {
		case shares[i] == 0:
			next = outlookCrowded
		case took[t] == shares[i]:
			return outlookMore
		}
	}
	if !all {
		return outlookMore
	}
	return next
}

// give gives row i to the sink. If the sink takes no more rows, row i and the rows after it are
// given back.
func (r *Relay) give(ctx context.Context, sink source.Sink, rows []row, i int) error {
	at := &rows[i]
	rec, err := at.record()
	if err != nil {
		r.held.end(at.seq, fmt.Errorf("%w: %w", source.ErrRejected, err))
		return nil
	}
	item := source.Item{ID: rec.ID.String(), Function: rec.Function, Payload: rec.Payload, Tenant: rec.Tenant, Prepared: &rec}
	err = sink.Send(ctx, item, func(err error) { r.held.end(at.seq, err) })
	if err != nil {
		for ; i < len(rows); i++ {
			r.held.end(rows[i].seq, err)
		}
	}
	return err
}

// record returns the job's record. Its payload is in a column of its own.
func (r *row) record() (rec faas.JobRecord, err error) {
	if err := json.Unmarshal(r.job, &rec); err != nil {
		return rec, fmt.Errorf("the column job: %w", err)
	}
	rec.Payload = r.payload
	return rec, nil
}

// tenants returns up to n tenants that have rows which no relay has taken. It begins at the
// cursor, and continues at the first tenant after the last, so that each tenant has its turn
// however many there are. all means that there are no others. Rows that are not due count too:
// to leave them out, each of them would have to be read.
func (r *Relay) tenants(ctx context.Context, n int) (found []string, all bool, err error) {
	from := r.cursor
	found, err = r.tenantsFrom(ctx, from, n)
	if err == nil && len(found) < n && from != "" {
		var before []string
		before, err = r.tenantsFrom(ctx, "", n-len(found))
		for _, t := range before {
			if t >= from { // it is among those already found, or came after the first query
				break
			}
			found = append(found, t)
		}
	}
	if err != nil || len(found) == 0 {
		return nil, true, err
	}
	// The least string after a name that could be another tenant's is the name and "\x01": names
	// have no control characters.
	r.cursor = found[len(found)-1] + "\x01"
	return found, len(found) < n, nil
}

// tenantsFrom returns up to n tenants, from the given one on. It jumps along the index of ready
// rows from one tenant to the next.
func (r *Relay) tenantsFrom(ctx context.Context, from string, n int) ([]string, error) {
	rows, err := r.pool.Query(ctx, `
WITH RECURSIVE ring (tenant, n) AS (
	(SELECT tenant, 1 FROM faas_outbox WHERE taken_by IS NULL AND rejected IS NULL AND tenant >= $1 ORDER BY tenant LIMIT 1)
	UNION ALL
	SELECT (SELECT o.tenant FROM faas_outbox o
	        WHERE o.taken_by IS NULL AND o.rejected IS NULL AND o.tenant > ring.tenant ORDER BY o.tenant LIMIT 1), n + 1
	FROM ring WHERE ring.tenant IS NOT NULL AND n < $2
)
SELECT tenant FROM ring WHERE tenant IS NOT NULL`, from, n)
	if err != nil {
		return nil, wrap("look for tenants", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return found, wrap("look for tenants", err)
}

// takeRows skips a row that another relay has locked at this moment. A row with an order key is
// taken only if no earlier row of its key is in the table, taken or not. The earlier row is
// deleted when its job is accepted or, with the queue in memory, when it is settled.
const takeRows = `
WITH picked AS (
	SELECT p.seq
	FROM unnest($1::text[], $2::int[]) AS w (tenant, n)
	CROSS JOIN LATERAL (
		SELECT o.seq FROM faas_outbox o
		WHERE o.tenant = w.tenant AND o.taken_by IS NULL AND o.rejected IS NULL AND o.due <= now()
			AND ($4::text[] IS NULL OR o.function = ANY ($4))
			AND (o.order_key IS NULL OR NOT EXISTS (
				SELECT FROM faas_outbox e
				WHERE e.function = o.function AND e.tenant = o.tenant AND e.order_key = o.order_key AND e.rejected IS NULL
					AND (e.due, e.seq) < (o.due, o.seq)))
		ORDER BY o.due, o.seq LIMIT w.n FOR UPDATE SKIP LOCKED) p
)
UPDATE faas_outbox t SET taken_by = $3 FROM picked WHERE t.seq = picked.seq
RETURNING t.seq, t.tenant, t.order_key IS NOT NULL, t.job, t.payload`

// take marks rows as this relay's, at most shares[i] rows of tenants[i], and of each tenant
// those that were due first. It returns these rows.
func (r *Relay) take(ctx context.Context, tenants []string, shares []int) ([]row, error) {
	found, err := r.pool.Query(ctx, takeRows, tenants, shares, r.id, r.set.functions)
	if err != nil {
		return nil, wrap("take", err)
	}
	rows, err := pgx.CollectRows(found, func(found pgx.CollectableRow) (taken row, err error) {
		err = found.Scan(&taken.seq, &taken.tenant, &taken.ordered, &taken.job, &taken.payload)
		return taken, err
	})
	if err != nil {
		return nil, wrap("take", err)
	}
	return slices.DeleteFunc(rows, func(found row) bool { return !r.held.add(&found) }), nil
}

const (
	// busyPause is the time between passes of a busy relay, which gets no notifications.
	busyPause = 20 * time.Millisecond
	// gather is how long a relay that had no room for rows waits, after a row has ended, for more
	// of them to end: taking rows one by one would cost more than the rows themselves.
	gather = 10 * time.Millisecond
	// breath is the pause after a pass that has found nothing, so that several notifications
	// cause one pass.
	breath = 5 * time.Millisecond
)

// settleDown switches notifications off while the relay is busy. After a full pass the next one
// follows anyway. When a pass finds nothing, the relay asks for notifications again, and makes
// one more pass: a row that was committed before that has sent no notification.
func (r *Relay) settleDown(ctx context.Context, n int) error {
	busy := n == batch || r.busy && n > 0
	if busy == r.busy || !r.set.listens {
		return nil
	}
	r.busy = busy
	_, err := r.pool.Exec(ctx, `UPDATE faas_outbox_relay SET listens = $2 WHERE id = $1`, r.id, !busy)
	if !busy {
		token(r.wake)
	}
	return wrap("listen", err)
}

// rest waits until another pass may find something: by the outlook, a notification, a row that
// has ended, or the time of WithPoll.
func (r *Relay) rest(ctx context.Context, n int, next outlook) error {
	if next == outlookMore && n > 0 {
		return ctx.Err()
	}
	wait := r.set.poll
	if r.busy {
		wait = min(wait, busyPause)
	} else if n == 0 {
		_ = sleep(ctx, min(wait, breath)) // an end of ctx is seen below
	}
	var freed <-chan struct{}
	if next == outlookCrowded {
		freed = r.held.freed
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-r.wake:
	case <-freed:
		r.gather(ctx)
	}
	return ctx.Err()
}

// gather waits until a quarter of a batch has ended, for a few milliseconds at most.
func (r *Relay) gather(ctx context.Context) {
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for r.held.countFreed() < batch/4 {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-r.held.freed:
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
