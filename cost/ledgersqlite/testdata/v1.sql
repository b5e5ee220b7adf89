-- A ledger of version 1 of the schema, with 5 executions and an overrun. Not to be changed.
BEGIN;
CREATE TABLE executions (
	seq       INTEGER PRIMARY KEY,
	id        BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
	function  TEXT    NOT NULL,
	version   TEXT    NOT NULL,
	tenant    TEXT    NOT NULL,
	labels    TEXT    NOT NULL,
	attempt   INTEGER NOT NULL,
	outcome   INTEGER NOT NULL,
	failure   TEXT    NOT NULL,
	start     INTEGER NOT NULL,
	ended     INTEGER NOT NULL,
	queued    INTEGER NOT NULL,
	init      INTEGER NOT NULL,
	duration  INTEGER NOT NULL,
	memory    INTEGER NOT NULL,
	bytes_in  INTEGER NOT NULL,
	bytes_out INTEGER NOT NULL,
	cold      INTEGER NOT NULL,
	sum       INTEGER NOT NULL
) STRICT;
CREATE INDEX executions_ended ON executions (ended);
CREATE TABLE overruns (
	seq       INTEGER PRIMARY KEY,
	id        BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
	function  TEXT    NOT NULL,
	version   TEXT    NOT NULL,
	tenant    TEXT    NOT NULL,
	labels    TEXT    NOT NULL,
	ended     INTEGER NOT NULL,
	duration  INTEGER NOT NULL,
	memory    INTEGER NOT NULL,
	sum       INTEGER NOT NULL
) STRICT;
CREATE INDEX overruns_ended ON overruns (ended);
CREATE TRIGGER executions_no_update BEFORE UPDATE ON executions
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: add a correction'); END;
CREATE TRIGGER executions_no_delete BEFORE DELETE ON executions
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: add a correction'); END;
CREATE TRIGGER executions_no_replace BEFORE INSERT ON executions
WHEN EXISTS (SELECT 1 FROM executions WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM executions WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the ledger has this record'); END;
CREATE TRIGGER overruns_no_update BEFORE UPDATE ON overruns
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: add a correction'); END;
CREATE TRIGGER overruns_no_delete BEFORE DELETE ON overruns
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: add a correction'); END;
CREATE TRIGGER overruns_no_replace BEFORE INSERT ON overruns
WHEN EXISTS (SELECT 1 FROM overruns WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM overruns WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the ledger has this record'); END;
INSERT INTO executions VALUES (1, x'01a209f29bf675b1a5c6f62286f28b7a', 'f0', 'v1', 'tenant-0', '{"n":"ü","team":"a"}', 1, 0, '', 1772366400123456789, 1772366400123457789, 1000000, 0, 1000, 134217728, 0, 0, 0, 1828878317150607909);
INSERT INTO executions VALUES (2, x'01a209f29bf677f38e32a1c46552dc2c', 'f1', 'v1', 'tenant-1', '{"n":"ü","team":"a"}', 2, 1, '', 1772366401123456789, 1772366401123458789, 1000000, 1, 2000, 134217728, 1, 2, 1, 2506488293601197637);
INSERT INTO executions VALUES (3, x'01a209f29bf678059955369c47c4d9d9', 'f2', 'v1', 'tenant-2', '{"n":"ü","team":"a"}', 1, 2, '', 1772366402123456789, 1772366402123459789, 1000000, 2, 3000, 134217728, 2, 4, 0, -6652803505899713108);
INSERT INTO executions VALUES (4, x'01a209f29bf6780eb9f8b9fb504b7483', 'f0', 'v1', 'tenant-3', '{"n":"ü","team":"a"}', 2, 3, '', 1772366403123456789, 1772366403123460789, 1000000, 3, 4000, 134217728, 3, 6, 1, -1574253788334124271);
INSERT INTO executions VALUES (5, x'01a209f29bf6782abe19d65c974c108b', 'f1', 'v1', 'tenant-4', '{"n":"ü","team":"a"}', 1, 4, '', 1772366404123456789, 1772366404123461789, 1000000, 4, 5000, 134217728, 4, 8, 0, 1285619414080935109);
INSERT INTO overruns VALUES (1, x'01a209f29bf6782abe19d65c974c108b', 'f1', 'v1', 'tenant-4', '', 1772366400123456789, 1000000000, 134217728, 4824091674738190307);
PRAGMA application_id = 1717657971;
PRAGMA user_version = 1;
COMMIT;
