package ledgersqlite_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost/ledgersqlite"
)

// filled returns the path of a closed ledger of some hundred kilobytes.
func filled(t *testing.T) string {
	t.Helper()
	l, path := open(t)
	require.NoError(t, l.Append(t.Context(), calls(2000)))
	require.NoError(t, l.Close())
	return path
}

func TestADamagedFileIsReportedAndLeftAlone(t *testing.T) {
	t.Parallel()
	garbage := func(data []byte, from, n int) []byte {
		r := rand.NewChaCha8([32]byte{1})
		_, _ = r.Read(data[from : from+n])
		return data
	}
	for name, damage := range map[string]func(data []byte) []byte{
		"empty":                      func([]byte) []byte { return nil },
		"cut in the header":          func(data []byte) []byte { return data[:50] },
		"cut in the first page":      func(data []byte) []byte { return data[:2000] },
		"cut in the middle":          func(data []byte) []byte { return data[:len(data)/2] },
		"cut by a page":              func(data []byte) []byte { return data[:len(data)-4096] },
		"cut by a byte":              func(data []byte) []byte { return data[:len(data)-1] },
		"a text":                     func([]byte) []byte { return bytes.Repeat([]byte("not a database\n"), 1000) },
		"zeros":                      func(data []byte) []byte { return make([]byte, len(data)) },
		"its first page is garbage":  func(data []byte) []byte { return garbage(data, 0, 4096) },
		"its schema is garbage":      func(data []byte) []byte { return garbage(data, 100, 3996) },
		"a page is garbage":          func(data []byte) []byte { return garbage(data, len(data)/8192*4096, 4096) },
		"its last page is garbage":   func(data []byte) []byte { return garbage(data, len(data)-4096, 4096) },
		"many pages are garbage":     func(data []byte) []byte { return garbage(data, 4096, len(data)-4096) },
		"a page is zeros":            func(data []byte) []byte { clear(data[5*4096 : 6*4096]); return data },
		"its version is impossible":  func(data []byte) []byte { copy(data[60:64], []byte{0, 0, 0, 0}); return data },
		"overwritten from the start": func(data []byte) []byte { return append([]byte("#!/bin/sh\n"), data...) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filled(t)
			require.NoError(t, os.WriteFile(path, damage(read(t, path)), 0o600))
			before := sha256.Sum256(read(t, path))

			_, err := ledgersqlite.Open(path)
			require.ErrorIs(t, err, ledgersqlite.ErrCorrupt)
			named := (*ledgersqlite.Error)(nil)
			require.ErrorAs(t, err, &named)
			require.Equal(t, path, named.Path)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, "restore a backup", "the cure")
			require.NotContains(t, err.Error(), "\n")

			require.Equal(t, before, sha256.Sum256(read(t, path)), "it was written to")
			left, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			for _, f := range left {
				require.NotContains(t, f.Name(), "new-", "a temporary file is left")
			}
		})
	}
}

// After a crash the -wal file has records. A check that fails must not move them into the
// damaged file.
func TestADamagedFileKeepsItsWAL(t *testing.T) {
	t.Parallel()
	l, path := open(t)
	long := calls(500) // more than SQLite leaves in the WAL
	for i := range long {
		long[i].Version = strings.Repeat("v", 10_000)
	}
	require.NoError(t, l.Append(t.Context(), long))
	require.NoError(t, l.Append(t.Context(), calls(10)))
	crashed := filepath.Join(t.TempDir(), "calls.db")
	data, wal := read(t, path), read(t, path+"-wal")
	require.Greater(t, len(data), 100<<10, "nothing was moved to the file yet")
	clear(data[len(data)/8192*4096:][:50*4096])
	require.NoError(t, os.WriteFile(crashed, data, 0o600))
	require.NoError(t, os.WriteFile(crashed+"-wal", wal, 0o600))

	_, err := ledgersqlite.Open(crashed)
	require.ErrorIs(t, err, ledgersqlite.ErrCorrupt)
	require.Equal(t, data, read(t, crashed))
	require.Equal(t, wal, read(t, crashed+"-wal"))
}

func TestDamageThatIsMetLaterIsReportedToo(t *testing.T) {
	t.Parallel()
	l, path := open(t)
	es := calls(2000)
	require.NoError(t, l.Append(t.Context(), es))
	require.NoError(t, l.Close())
	data := read(t, path)
	clear(data[len(data)/8192*4096:][:10*4096]) // pages of every B-tree of executions
	require.NoError(t, os.WriteFile(path, data, 0o600))

	var told failures
	l = openAt(t, path, ledgersqlite.WithLazyCheck(), told.option())
	require.ErrorIs(t, l.Verify(t.Context()), ledgersqlite.ErrCorrupt)
	var last error
	for _, err := range l.Records(t.Context(), ledgersqlite.Filter{}) {
		last = err
	}
	require.ErrorIs(t, last, ledgersqlite.ErrCorrupt)
	for i := 0; i < len(es) && l.Err() == nil; i++ {
		l.Record(t.Context(), es[i]) // no conflict, so the record is stored
	}
	require.ErrorIs(t, l.Err(), ledgersqlite.ErrCorrupt)
	require.Len(t, told.all(), 1)
	require.False(t, l.Reserve())
	require.ErrorIs(t, l.Close(), ledgersqlite.ErrCorrupt)
}

// SQLite has no checksums, and would return the damaged row.
func TestARottenRowIsNotBilled(t *testing.T) {
	t.Parallel()
	l, path := open(t)
	e := call(0)
	e.Tenant = "the-tenant-whose-row-rots"
	require.NoError(t, l.Append(t.Context(), append(calls(10), e)))
	require.NoError(t, l.Close())
	data := read(t, path)
	require.Equal(t, 1, bytes.Count(data, []byte(e.Tenant)))
	require.NoError(t, os.WriteFile(path, bytes.Replace(data, []byte(e.Tenant), []byte(strings.ToUpper(e.Tenant)), 1), 0o600))

	l = openAt(t, path, (&failures{}).option()) // succeeds, because no structure of the file is damaged
	var last error
	n := 0
	for r, err := range l.Records(t.Context(), ledgersqlite.Filter{}) {
		last = err
		if err == nil {
			require.NotEqual(t, e.ID, r.ID)
			n++
		}
	}
	require.ErrorIs(t, last, ledgersqlite.ErrCorrupt)
	require.ErrorContains(t, last, "row 11 of executions")
	require.ErrorIs(t, l.Verify(t.Context()), ledgersqlite.ErrCorrupt)
	require.ErrorIs(t, l.Append(t.Context(), []faas.Execution{e}), ledgersqlite.ErrCorrupt, "it can't be told whether it is the same")
}

func TestAnotherProgramsDatabaseIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "other.db")
	db := raw(t, path)
	_, err := db.Exec(`CREATE TABLE executions (a)`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	before := read(t, path)
	_, err = ledgersqlite.Open(path)
	require.ErrorIs(t, err, ledgersqlite.ErrForeign)
	require.Equal(t, before, read(t, path))
}

func TestPathsThatCannotBeOpenedAreErrorsAndNotDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "no", "such.db")} {
		_, err := ledgersqlite.Open(path)
		require.Error(t, err)
		require.NotErrorIs(t, err, ledgersqlite.ErrCorrupt)
		require.ErrorContains(t, err, path)
	}
	_, err := ledgersqlite.OpenReader(filepath.Join(dir, "calls.db"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoFileExists(t, filepath.Join(dir, "calls.db"), "a reader makes none")
}

func TestPathsMeanFilesWhateverIsInThem(t *testing.T) {
	t.Parallel()
	for _, name := range []string{":memory:", "a b?mode=memory&x=%41#c.db", "ü%"} {
		path := filepath.Join(t.TempDir(), name)
		l := openAt(t, path)
		require.NoError(t, l.Append(t.Context(), calls(1)))
		require.NoError(t, l.Close())
		require.FileExists(t, path)
		require.Len(t, executions(t, openAt(t, path), ledgersqlite.Filter{}), 1)
	}
}

func TestOpenedByManyAtOnceItIsOneLedger(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "calls.db")
	const openers = 8
	var wg sync.WaitGroup
	for range openers {
		wg.Go(func() {
			l, err := ledgersqlite.Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 20 {
				l.Record(t.Context(), call(i))
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l := openAt(t, path)
	require.Len(t, executions(t, l, ledgersqlite.Filter{}), openers*20)
	require.NoError(t, l.Verify(t.Context()))
}

func TestTheFileIsAppendOnly(t *testing.T) {
	t.Parallel()
	l, path := open(t)
	es := calls(3)
	require.NoError(t, l.Append(t.Context(), es))
	require.NoError(t, l.AppendOverruns(t.Context(), []ledgersqlite.Overrun{{Overrun: faas.Overrun{ID: es[0].ID}}}))
	_, err := l.Correct(t.Context(), ledgersqlite.Correction{Invocation: es[0].ID, Memory: 1, Why: "test"})
	require.NoError(t, err)
	before := executions(t, l, ledgersqlite.Filter{})
	db := raw(t, path)
	for _, table := range []string{"executions", "overruns", "corrections", "sessions"} {
		for _, statement := range []string{
			`UPDATE ` + table + ` SET seq = seq + 100`,
			`UPDATE OR REPLACE ` + table + ` SET seq = 1`,
			`DELETE FROM ` + table,
			`DELETE FROM ` + table + ` WHERE seq = 1`,
			`INSERT OR REPLACE INTO ` + table + ` SELECT * FROM ` + table,
			`REPLACE INTO ` + table + ` SELECT * FROM ` + table + ` LIMIT 1`,
		} {
			_, err := db.Exec(statement)
			require.Error(t, err, statement)
		}
	}
	_, err = db.Exec(`UPDATE executions SET duration = 0`)
	require.ErrorContains(t, err, "append-only: add a correction")
	_, err = db.Exec(`INSERT OR REPLACE INTO executions SELECT NULL, id, 'other', version, tenant, labels, attempt, outcome, failure, start, ended,
		queued, init, duration, memory, bytes_in, bytes_out, cold, sum, session, origin, job, delivery, first_byte FROM executions LIMIT 1`)
	require.ErrorContains(t, err, "has this record", "by id")
	_, err = db.Exec(`INSERT INTO corrections SELECT NULL, randomblob(16), zeroblob(16), overrun, calls, duration, init, memory, why, made, sum FROM corrections`)
	require.ErrorContains(t, err, "not there")
	require.Equal(t, before, executions(t, l, ledgersqlite.Filter{}))
	require.NoError(t, l.Verify(t.Context()))
}

func TestDroppedTriggersAreDetected(t *testing.T) {
	t.Parallel()
	for name, forgery := range map[string]string{
		"and leaves it so":      `DROP TRIGGER executions_no_delete`,
		"and removes a row":     `DROP TRIGGER executions_no_delete; DELETE FROM executions WHERE seq = 2; ` + trigger("executions_no_delete"),
		"and changes an amount": `DROP TRIGGER executions_no_update; UPDATE executions SET memory = 1 WHERE seq = 2; ` + trigger("executions_no_update"),
		"and changes a job":     `DROP TRIGGER executions_no_update; UPDATE executions SET job = zeroblob(16) WHERE seq = 4; ` + trigger("executions_no_update"),
		"and drops an origin":   `DROP TRIGGER executions_no_update; UPDATE executions SET origin = '' WHERE seq = 4; ` + trigger("executions_no_update"),
		"and gives a job":       `DROP TRIGGER executions_no_update; UPDATE executions SET job = randomblob(16) WHERE seq = 1; ` + trigger("executions_no_update"),
		"and moves a row":       `DROP TRIGGER executions_no_update; UPDATE executions SET ended = 1 WHERE seq = 2; ` + trigger("executions_no_update"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, path := open(t)
			require.NoError(t, l.Append(t.Context(), calls(4)))
			_, err := raw(t, path).Exec(forgery)
			require.NoError(t, err)
			require.ErrorIs(t, l.Verify(t.Context()), ledgersqlite.ErrCorrupt)
		})
	}
	path := filled(t)
	db := raw(t, path)
	_, err := db.Exec(`DROP TRIGGER overruns_no_replace`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = ledgersqlite.Open(path)
	require.ErrorIs(t, err, ledgersqlite.ErrCorrupt)
	require.ErrorContains(t, err, "overruns_no_replace")
}

func trigger(name string) string {
	return `CREATE TRIGGER ` + name + ` BEFORE DELETE ON executions BEGIN SELECT RAISE(ABORT, 'no'); END`
}

// older returns the path of a ledger with an older version of the schema. It is made from
// file, a dump that the older release has made, which must never be replaced.
func older(t *testing.T, file string) string {
	t.Helper()
	dump, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite", "file://"+path+"?_pragma=journal_mode(WAL)")
	require.NoError(t, err)
	_, err = db.Exec(string(dump))
	require.NoError(t, err)
	require.NoError(t, db.Close())
	return path
}

func TestALedgerOfVersion1IsMigrated(t *testing.T) {
	t.Parallel()
	path := older(t, "v1.sql")
	_, err := ledgersqlite.OpenReader(path)
	require.ErrorIs(t, err, ledgersqlite.ErrVersion, "a reader changes nothing")
	require.ErrorContains(t, err, "version 1")

	l := openAt(t, path)
	old := executions(t, l, ledgersqlite.Filter{})
	require.Len(t, old, 5)
	for i, e := range old {
		require.Equal(t, stored(faas.Execution{
			ID: e.ID, Function: call(i).Function, Version: "v1", Tenant: call(i).Tenant, Labels: call(i).Labels, Attempt: call(i).Attempt,
			Outcome: call(i).Outcome, Start: call(i).Start, Queued: call(i).Queued, Init: call(i).Init, Duration: call(i).Duration,
			Memory: call(i).Memory, BytesIn: call(i).BytesIn, BytesOut: call(i).BytesOut, Cold: call(i).Cold,
		}), e)
	}
	overruns := collect(t, l.Overruns(t.Context(), ledgersqlite.Filter{}))
	require.Len(t, overruns, 1)
	require.Equal(t, epoch, overruns[0].At)

	// Corrections, which version 2 has added, work on records of version 1.
	_, err = l.Correct(t.Context(), ledgersqlite.Correction{Invocation: old[2].ID, Calls: -1, Why: "test"})
	require.NoError(t, err)
	require.NoError(t, l.Append(t.Context(), append(calls(2), old...)))
	counts, err := l.Counts(t.Context(), l.Counters().Session)
	require.NoError(t, err)
	require.Equal(t, map[string]uint64{"f0": 1, "f1": 1}, counts, "those of this session")
	require.NoError(t, l.Verify(t.Context()))
	require.NoError(t, l.Close())

	r, err := ledgersqlite.OpenReader(path)
	require.NoError(t, err)
	require.Len(t, executions(t, r, ledgersqlite.Filter{}), 7)
	require.NoError(t, r.Close())
	_, err = raw(t, path).Exec(`DELETE FROM corrections`)
	require.ErrorContains(t, err, "append-only")
}

func TestALedgerOfVersion2IsMigratedAndKeepsItsChecksums(t *testing.T) {
	t.Parallel()
	path := older(t, "v2.sql")
	_, err := ledgersqlite.OpenReader(path)
	require.ErrorIs(t, err, ledgersqlite.ErrVersion, "a reader changes nothing")

	l := openAt(t, path)
	require.NoError(t, l.Verify(t.Context()))
	old := collect(t, l.Records(t.Context(), ledgersqlite.Filter{}))
	require.Len(t, old, 5)
	for i, rec := range old {
		require.Equal(t, stored(faas.Execution{
			ID: rec.ID, Function: call(i).Function, Version: "v1", Tenant: call(i).Tenant, Labels: call(i).Labels, Attempt: call(i).Attempt,
			Outcome: call(i).Outcome, Start: call(i).Start, Queued: call(i).Queued, Init: call(i).Init, Duration: call(i).Duration,
			Memory: call(i).Memory, BytesIn: call(i).BytesIn, BytesOut: call(i).BytesOut, Cold: call(i).Cold,
		}), rec.Execution)
		require.Len(t, rec.Corrections, map[bool]int{true: 1}[i == 1])
	}
	overruns := collect(t, l.Overruns(t.Context(), ledgersqlite.Filter{}))
	require.Len(t, overruns, 1)
	require.Equal(t, faas.Overrun{ID: old[4].ID, Function: "f1", Version: "v1", Tenant: "tenant-4", Duration: time.Second, Memory: 128 << 20}, overruns[0].Overrun)

	// The columns that version 3 has added are stored for new records. Old records may be
	// recorded again.
	e := call(3)
	require.NoError(t, l.Append(t.Context(), []faas.Execution{old[0].Execution, e}))
	o := faas.Overrun{ID: e.ID, Job: e.Job, Delivery: e.Delivery, Attempt: e.Attempt, Duration: time.Second}
	require.NoError(t, l.AppendOverruns(t.Context(), []ledgersqlite.Overrun{{Overrun: o, At: epoch}}))
	require.NoError(t, l.Verify(t.Context()))
	require.NoError(t, l.Close())
	r, err := ledgersqlite.OpenReader(path)
	require.NoError(t, err)
	defer r.Close()
	require.Contains(t, executions(t, r, ledgersqlite.Filter{}), stored(e))
	require.Equal(t, o, collect(t, r.Overruns(t.Context(), ledgersqlite.Filter{}))[1].Overrun)
}

func TestALedgerOfANewerVersionIsRefusedByName(t *testing.T) {
	t.Parallel()
	path := filled(t)
	db := raw(t, path)
	_, err := db.Exec(`PRAGMA user_version = 77`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	before := read(t, path)
	_, err = ledgersqlite.Open(path)
	require.ErrorIs(t, err, ledgersqlite.ErrVersion)
	require.ErrorContains(t, err, "version 77")
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "newer release")
	require.Equal(t, before, read(t, path))
	require.Equal(t, 3, ledgersqlite.Version(), "a new version needs a test that opens the one before")
}
