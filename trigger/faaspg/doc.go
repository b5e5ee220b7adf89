// Package faaspg is an outbox in PostgreSQL: it has jobs made after a transaction commits, and
// only then. [SendTx] writes a job into a table of the transaction's own database, as a part of
// that transaction. A [Relay] takes the rows that were committed, gives their jobs to the router's
// queue, and deletes them:
//
//	err := faaspg.Migrate(ctx, pool) // makes the tables
//	d, err := faaspg.NewRelay(pool).Drive(router)
//
//	tx, err := pool.Begin(ctx)
//	_, err = tx.Exec(ctx, "INSERT INTO orders …")
//	_, err = faaspg.SendTx(ctx, tx, mail, order)
//	err = tx.Commit(ctx) // the mail is sent after this, also if the process is killed here
//
// # What is promised
//
// A job is never made before its transaction commits, and never if that is rolled back, to a
// savepoint too. After the commit it is in exactly one of three places: in the table, in the queue,
// or in a terminal state. When its row is deleted depends on the queue. One that is durable
// (package durable/faasnats) has the job from its acceptance on, and the row goes then. With the
// queue in memory the row goes when the job is settled: so a process that is killed loses none, and
// what ran at that moment runs again, in this process or another.
//
// The job of a row has the same ID each time. So a queue accepts it once, as long as it remembers the
// ID, whatever is killed between the acceptance and the deletion. A job runs more than once where any
// job does: see faas.JobQueue. With the queue in memory of several processes it also does if
// a relay can't reach the database for longer than its term ([WithTerm]).
//
// # How rows are taken
//
// Rows are taken with FOR UPDATE SKIP LOCKED, marked with the relay that has them, and deleted one
// by one. No relay remembers up to which row it has read: a transaction that commits late has lower
// numbers than what is long gone, and would be missed. Several relays share a table, in any
// number of processes. A relay that has died loses its rows when its term is over.
//
// Tenants take turns, and no tenant has more than half of what a relay has under way. A row with an
// order key is taken when it is the first of its key in the table: so what transactions write one
// after the other runs one after the other. Of transactions that overlap there is no first one. A row
// that is not due waits in the table.
//
// A commit wakes the relay by NOTIFY, and a poll stands behind it. A row that no queue will ever take,
// since something else than SendTx has written it, stays, with the reason in its column rejected.
//
// # The tables
//
// [Migrate] makes faas_outbox, faas_outbox_relay and faas_outbox_version in the schema that is the
// first of the search path. SendTx and Relay must have the same search path. The sender needs
// INSERT on faas_outbox and SELECT on faas_outbox_relay; a relay needs SELECT, INSERT, UPDATE and
// DELETE on both.
package faaspg
