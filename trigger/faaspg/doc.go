// Package faaspg is an outbox in PostgreSQL: it makes a job only if, and after, a transaction
// commits. [SendTx] writes the job into a table of the transaction's own database, as a part of
// that transaction. A [Relay] takes the rows that were committed, gives their jobs to the
// router's queue, and deletes the rows:
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
// A job is never made before its transaction commits, and never if the transaction is rolled
// back, even if only to a savepoint. After the commit the job is in exactly one of three
// places: in the table, in the queue, or settled. When the row is deleted depends on the queue:
//
//   - A durable queue (package durable/faasnats): when the queue has accepted the job.
//   - The queue in memory: when the job is settled. So a process that is killed loses no job;
//     the jobs that ran at that moment run again, in this process or another.
//
// The job of a row has the same ID each time. So a queue accepts it once, as long as it
// remembers the ID, even if a process is killed after the acceptance and before the deletion. A
// job may run more than once where any job may, see faas.JobQueue. There is one more case:
// several processes have the queue in memory, and a relay can't reach the database for longer
// than its term ([WithTerm]).
//
// # How rows are taken
//
// A relay takes rows with FOR UPDATE SKIP LOCKED, marks them as its own, and deletes them one
// by one. It does not remember up to which row it has read: a transaction that commits late has
// smaller row numbers than rows that are long gone, and would be missed. Several relays, in any
// number of processes, may share a table. If a relay dies, other relays get its rows when its
// term is over.
//
// Tenants take turns, and no tenant has more than half of the rows that a relay may have under way.
// A row with an order key is taken only when it is the first of its key in the table. So what
// one transaction writes after another has committed also runs after it. The order of two
// transactions that overlap is not defined. A row that is not due stays in the table until it
// is.
//
// A commit wakes the relay by NOTIFY; a poll finds what a notification has missed. A row whose
// job no queue will ever take, because something other than SendTx has written the row, stays
// in the table. Its column rejected has the reason.
//
// # The tables
//
// [Migrate] makes faas_outbox, faas_outbox_relay and faas_outbox_version in the first schema of
// the search path. SendTx and Relay must have the same search path. The sender needs INSERT on
// faas_outbox and SELECT on faas_outbox_relay. A relay needs SELECT, INSERT, UPDATE and DELETE
// on both.
package faaspg
