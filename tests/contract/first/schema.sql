-- What version 0.1.0 made (SQLite), with a row of each kind that an upgrade must keep.
CREATE TABLE fact (
	position INTEGER NOT NULL,
	server VARCHAR NOT NULL,
	type VARCHAR NOT NULL,
	id VARCHAR NOT NULL,
	version_id VARCHAR NOT NULL,
	last_updated VARCHAR NOT NULL,
	reading VARCHAR NOT NULL,
	observed_at VARCHAR NOT NULL,
	content_hash VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	assertion VARCHAR NOT NULL,
	PRIMARY KEY (position),
	UNIQUE (id, type, version_id, last_updated, reading, server)
);
CREATE TABLE quarantine (
	position INTEGER NOT NULL,
	server VARCHAR NOT NULL,
	type VARCHAR NOT NULL,
	id VARCHAR NOT NULL,
	version_id VARCHAR NOT NULL,
	reason VARCHAR NOT NULL,
	reading VARCHAR NOT NULL,
	observed_at VARCHAR NOT NULL,
	PRIMARY KEY (position),
	UNIQUE (server, type, id, version_id, reason, reading)
);
CREATE TABLE run (
	id VARCHAR NOT NULL,
	server VARCHAR NOT NULL,
	position INTEGER NOT NULL,
	at VARCHAR NOT NULL,
	seed INTEGER NOT NULL,
	replications INTEGER NOT NULL,
	model VARCHAR NOT NULL,
	code_version VARCHAR NOT NULL,
	result_hash VARCHAR NOT NULL,
	wall_at VARCHAR NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX ix_run_wall_at ON run (wall_at);
CREATE TABLE timeline (
	run VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	subject VARCHAR NOT NULL,
	prediction VARCHAR NOT NULL,
	PRIMARY KEY (run, kind, subject)
);
CREATE TABLE outcome (
	position INTEGER NOT NULL,
	server VARCHAR NOT NULL,
	run VARCHAR NOT NULL,
	ref VARCHAR NOT NULL,
	status VARCHAR NOT NULL,
	version_id VARCHAR,
	reason VARCHAR NOT NULL,
	at VARCHAR NOT NULL,
	PRIMARY KEY (position),
	UNIQUE (ref, at, run, server)
);
CREATE TABLE cursor (
	server VARCHAR NOT NULL,
	type VARCHAR NOT NULL,
	at VARCHAR NOT NULL,
	PRIMARY KEY (server, type)
);
CREATE TABLE meta (
	name VARCHAR NOT NULL,
	value VARCHAR NOT NULL,
	PRIMARY KEY (name)
);
INSERT INTO meta VALUES ('schema', '1'), ('key_fingerprint', 'key'), ('created', '2026-03-01T08:00:00.000000+00:00');
INSERT INTO fact VALUES (
  7, 'http://127.0.0.1:8090/fhir', 'Appointment', 'a1', '1', '2026-03-10T08:00:00.123456+00:00', 'r1',
  '2026-03-10T08:00:00.123456+00:00', 'hash-booked', 'appointment',
  '{"assertion":{"status":"booked","start":"2026-03-10T08:00:00.123456Z","end":null,"minutes":null,"patient":null,"locations":[],"team":[],"services":[],"specialties":[],"reasons":[],"requests":[],"stamps":[]},"carried":{"annotation":null,"present":false,"foreign":[]},"findings":[]}'
);
INSERT INTO outcome VALUES (1, 'http://127.0.0.1:8090/fhir', '', 'Appointment/a1', 'written', '2', '', '2026-03-10T08:01:00.000000+00:00');
