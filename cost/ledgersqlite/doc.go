// Package ledgersqlite keeps the record of every call in a file, so that it
// outlives the process: a [faas.Meter] and [faas.OverrunMeter] on SQLite, in pure Go.
//
//	ledger, err := ledgersqlite.Open("/var/lib/shop/calls.db")
//	r := faas.New(faas.WithMeter(ledger))
//	...
//	err = r.Shutdown(ctx)
//	err = ledger.Close()
//
// # Durable before the answer
//
// When [Ledger.Record] returns, the record is on disk: it survives the end of the
// process and of the machine, and so a caller that has its answer has its record.
// That costs each call the time of a commit, a millisecond or so. Records that
// arrive while one commit is under way share the next: where one caller at a time
// makes 2,000 records a second, 64 make 28,000 (BenchmarkRecord).
//
// With [WithWriteBehind] Record returns at once, and a goroutine commits what has
// come in: for calls that can't wait for a disk, and where it may be said that a
// crash loses the last few milliseconds. The buffer is bounded: when the disk can't
// keep up, work is refused and not run unmetered. Behind [faas.Buffered] a ledger
// does the same: as a [faas.BatchMeter] it is given all that came in during the last
// commit and makes one of it, twenty times as many records a second as a commit for
// each; their room is given back, and Flush returns, when they are durable.
//
// # When it can't be written
//
// A full disk, an I/O error, a damaged file: from the first failure on the ledger
// refuses work ([Ledger.Reserve] is false, and the router answers
// [faas.ReasonMeterFull]), says why ([Ledger.Err], [WithFailure]), and keeps the
// records of calls that were already running in memory. [Ledger.Retry] writes
// them when the cause is gone, and takes up work again.
//
// # Append-only
//
// There is one row for each record. The invocation's id is its key: a record that
// is written twice is stored once, and another one with the same id is an
// ErrConflict. Triggers refuse UPDATE, DELETE and REPLACE, whoever tries it, and
// each row has a checksum that is compared whenever it is read. Both are against
// mistakes and rotten disks, and not against somebody who owns the file and means
// to forge it. What turns out to be wrong is corrected by a row of its own, which
// refers to it and says why: [Ledger.Correct].
//
// The texts of errors are not stored, for they may hold what should not be kept for
// years, unless [WithErrorText] asks for it.
//
// # Another price list
//
// Providers round each call, so a [cost.Ledger] can only be rated by the books that
// it was made with. What is stored here can be rated by any, later:
//
//	sums := cost.NewLedger(cost.Calendar{}, book)
//	err := ledger.Replay(ctx, ledgersqlite.Filter{From: start, To: end}, sums)
//	statement, err := sums.Statement(start, book)
//
// [Reader.Replay] is whole or an error: it counts what it was led to against the
// table. A tenant's bill is the tenant's part of that statement, cost.Statement.Only,
// and not a replay of the tenant's records alone ([Filter]).
//
// # Does it add up
//
// [Reader.Reconcile] compares what is stored with what the scheduler has counted;
// the command cost/ledgersqlite/cmd/reconcile does it from another process.
//
// # The file
//
// It is an SQLite database in WAL mode with synchronous=FULL, which syncs the WAL in
// every commit. NORMAL doesn't, and loses the last commits when the power fails; it
// would be ten times faster for a single caller, and by half or less for 64, who share
// commits (BenchmarkSynchronous). A record takes about 170 bytes, and more with long
// names and labels.
//
// Beside the file are, while it is open and after a crash, files of its name with -wal
// and -shm added: the first has records in it. Copy a ledger that is in use with the
// sqlite3 command's .backup, not with cp. It has to be on a local disk. Several
// processes may have it open; they wait for each other, for up to ten seconds a commit.
//
// Commits are made with fsync. On Linux fdatasync is as durable and somewhat faster;
// that is a setting of the whole process, and so for the program to make: see
// Fdatasync in modernc.org/sqlite.
package ledgersqlite
