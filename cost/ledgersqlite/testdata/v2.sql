-- A ledger of version 2 of the schema, with 5 executions, an overrun and a correction. Not to be changed.
BEGIN TRANSACTION;
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
	, session INTEGER) STRICT;
INSERT INTO executions VALUES(1,X'01a22bab7f8878b6894fac1027fdfd4f','f0','v1','tenant-0','{"n":"ü","team":"a"}',1,0,'',1772366400123456789,1772366400123457789,1000000,0,1000,134217728,0,0,0,9100183572486186332,1);
INSERT INTO executions VALUES(2,X'01a22bab7f8878c9a122942430a58c8d','f1','v1','tenant-1','{"n":"ü","team":"a"}',2,1,'',1772366401123456789,1772366401123458789,1000000,1,2000,134217728,1,2,1,3612559076501175386,1);
INSERT INTO executions VALUES(3,X'01a22bab7f8878cda95f8851f6e5f8f9','f2','v1','tenant-2','{"n":"ü","team":"a"}',1,2,'',1772366402123456789,1772366402123459789,1000000,2,3000,134217728,2,4,0,1201642429883716683,1);
INSERT INTO executions VALUES(4,X'01a22bab7f8878cfb5379eec33731ee1','f0','v1','tenant-3','{"n":"ü","team":"a"}',2,3,'',1772366403123456789,1772366403123460789,1000000,3,4000,134217728,3,6,1,8425660604653138033,1);
INSERT INTO executions VALUES(5,X'01a22bab7f8878d0ada9c41a71d06c25','f1','v1','tenant-4','{"n":"ü","team":"a"}',1,4,'',1772366404123456789,1772366404123461789,1000000,4,5000,134217728,4,8,0,-5371921645982924237,1);
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
INSERT INTO overruns VALUES(1,X'01a22bab7f8878d0ada9c41a71d06c25','f1','v1','tenant-4','',1772366400123456789,1000000000,134217728,5561877161662074437);
CREATE TABLE sessions (
		seq    INTEGER PRIMARY KEY,
		opened INTEGER NOT NULL,
		before INTEGER NOT NULL
	) STRICT;
INSERT INTO sessions VALUES(1,1796028989319755308,0);
CREATE TABLE corrections (
		seq        INTEGER PRIMARY KEY,
		id         BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
		invocation BLOB    NOT NULL,
		overrun    INTEGER NOT NULL,
		calls      INTEGER NOT NULL,
		duration   INTEGER NOT NULL,
		init       INTEGER NOT NULL,
		memory     INTEGER NOT NULL,
		why        TEXT    NOT NULL CHECK (why <> ''),
		made       INTEGER NOT NULL,
		sum        INTEGER NOT NULL
	) STRICT;
INSERT INTO corrections VALUES(1,X'01a22bab7f89765eba56b6f4a8d846f3',X'01a22bab7f8878c9a122942430a58c8d',0,0,1000000,0,0,'test',1796028989321417565,3820512363240369889);
CREATE INDEX executions_ended ON executions (ended);
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
CREATE INDEX corrections_invocation ON corrections (invocation);
CREATE TRIGGER corrections_refer BEFORE INSERT ON corrections
	WHEN NOT EXISTS (SELECT 1 FROM executions WHERE id = NEW.invocation AND NOT NEW.overrun
		UNION ALL SELECT 1 FROM overruns WHERE id = NEW.invocation AND NEW.overrun)
	BEGIN SELECT RAISE(ABORT, 'a correction refers to a record that is not there'); END;
CREATE TRIGGER sessions_no_update BEFORE UPDATE ON sessions
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: add a correction'); END;
CREATE TRIGGER sessions_no_delete BEFORE DELETE ON sessions
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: add a correction'); END;
CREATE TRIGGER sessions_no_replace BEFORE INSERT ON sessions
	WHEN EXISTS (SELECT 1 FROM sessions WHERE FALSE) OR EXISTS (SELECT 1 FROM sessions WHERE seq = NEW.seq)
	BEGIN SELECT RAISE(ABORT, 'the ledger has this record'); END;
CREATE TRIGGER corrections_no_update BEFORE UPDATE ON corrections
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: add a correction'); END;
CREATE TRIGGER corrections_no_delete BEFORE DELETE ON corrections
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: add a correction'); END;
CREATE TRIGGER corrections_no_replace BEFORE INSERT ON corrections
	WHEN EXISTS (SELECT 1 FROM corrections WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM corrections WHERE seq = NEW.seq)
	BEGIN SELECT RAISE(ABORT, 'the ledger has this record'); END;
PRAGMA application_id = 1717657971;
PRAGMA user_version = 2;
COMMIT;
