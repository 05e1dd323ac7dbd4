BEGIN TRANSACTION;
CREATE TABLE accounts (
	id INTEGER NOT NULL, 
	email VARCHAR(320) NOT NULL, 
	google_sub VARCHAR(255), 
	erpnext_user VARCHAR(140), 
	source VARCHAR(20) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	cause VARCHAR(80) NOT NULL, 
	since DATETIME NOT NULL, 
	granted_scopes TEXT NOT NULL, 
	refresh_token BLOB, 
	access_token BLOB, 
	access_expires_at DATETIME, 
	refresh_claimed_until FLOAT NOT NULL, 
	refresh_retry_at DATETIME, 
	default_event_type VARCHAR(10), 
	on_disconnect VARCHAR(10) NOT NULL, 
	created_at DATETIME NOT NULL, granted_at DATETIME, 
	CONSTRAINT pk_accounts PRIMARY KEY (id), 
	CONSTRAINT uq_accounts_email UNIQUE (email), 
	CONSTRAINT uq_accounts_google_sub UNIQUE (google_sub)
);
INSERT INTO "accounts" VALUES(1,'ann@scoopjoy.test',NULL,'ann@scoopjoy.test','service-account','active','','2026-11-30 11:34:00.128006','',NULL,X'76313062386361663234B7337A39010D9CCF91D0A09992B0E30577B52D10C261C0CB148DBB9894E16D380E32077CBA7EF8F5E1E0F1A2F76BCFDA76CB0C8C69D11C10DB14E96D6BA494B3FBBB727A83729C030E4F157351EFB59F72E1A2A514CB47B199E32777475C1A9A1FCE88F3EC609985B418300BD5C856476257736F6FB8C9ABAD17306434C0C626A5276D583DD998742C38DA786EB5F5EC78FAD89B43EF94BC322FC38EB228C88D28','2026-11-30 12:33:58.907556',0.0,NULL,NULL,'','2026-11-30 11:33:59.911930',NULL);
INSERT INTO "accounts" VALUES(2,'bob@scoopjoy.test','106825265640502154951','bob@scoopjoy.test','oauth','active','','2026-11-30 11:34:01.625351','["email", "https://www.googleapis.com/auth/calendar.events.readonly", "openid"]',X'7631306238636166323446928CF868BF8AE4E8A8385B6F9C608B4F56EFD8F3A92D931F681331F3D4656E2C2DA793801BB035C73E6EEC22CD7231DD1B4AF3BE8D847307EA2759DEBD46BEE6B47FB1FC71A5FE7F348D60289F7824700880CBDBA2E02990018BCA1747247CB030BDC793D1E7810E07336E4F673082E5A5BDDDBFFE',X'7631306238636166323454892FEB68ED94786A68A86E35F8F92C242D2A8B0B3D9F7253A63D4FEDEFF66DAABC29963164CE8FDCA439F660740391BA507DD8878B9FB5838697F99D404FC23A23A23AD59BAB828872F82958FC946F6268F827ADF5E5E7930CB73C1BAEDD386121A1802415B5F1BDF77CD4CE3891C0BE0FCFF1FE49CD3D9EA193DD29F7BB1F60D010DDCA193FEC1DFEEE8D412AF51B2551D5DAB154C9C1EF5C4288019843A6CF','2026-11-30 12:34:01.625346',0.0,NULL,NULL,'','2026-11-30 11:34:01.623202','2026-11-30 11:34:01.625351');
INSERT INTO "accounts" VALUES(3,'carl@scoopjoy.test',NULL,NULL,'oauth','invited','','2026-11-30 11:34:04.224536','',NULL,NULL,NULL,0.0,NULL,NULL,'','2026-11-30 11:34:04.224536',NULL);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE calendars (
	id INTEGER NOT NULL, 
	account_id INTEGER NOT NULL, 
	google_id VARCHAR(1024) NOT NULL, 
	sync_token TEXT, 
	query_fingerprint VARCHAR(64) NOT NULL, 
	time_zone VARCHAR(64) NOT NULL, 
	window_start DATETIME, 
	window_end DATETIME, 
	policy_fingerprint VARCHAR(64) NOT NULL, 
	dirty_seq INTEGER NOT NULL, 
	synced_seq INTEGER NOT NULL, 
	dirty_at DATETIME, 
	dirty_reason VARCHAR(20) NOT NULL, 
	rung_at DATETIME, 
	snapshot_seq INTEGER NOT NULL, 
	force_sweep BOOLEAN NOT NULL, 
	lease_owner VARCHAR(80), 
	lease_until FLOAT NOT NULL, 
	fence INTEGER NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	cause VARCHAR(80) NOT NULL, 
	message TEXT NOT NULL, 
	since DATETIME NOT NULL, 
	failures INTEGER NOT NULL, 
	retry_at DATETIME, 
	last_success_at DATETIME, 
	last_snapshot_at DATETIME, 
	next_poll_at DATETIME, 
	next_reconcile_at DATETIME, 
	push_supported BOOLEAN, 
	watch_retry_at DATETIME, 
	watch_failures INTEGER NOT NULL, 
	removed BOOLEAN NOT NULL, 
	CONSTRAINT pk_calendars PRIMARY KEY (id), 
	CONSTRAINT fk_calendars_account_id_accounts FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT uq_calendars_account_id_google_id UNIQUE (account_id, google_id)
);
INSERT INTO "calendars" VALUES(1,1,'ann@scoopjoy.test','DuO8GsGhrdSEL4y3WyJhbm5Ac2Nvb3Bqb3kudGVzdCIsICJhbm5Ac2Nvb3Bqb3kudGVzdCIsIDQsIHsic2hvd0RlbGV0ZWQiOiB0cnVlLCAibWF4UmVzdWx0cyI6IDI1MDB9LCAxNzk2MDM4NDQzODU3LCA4XQ=','563ee5f83bfbd2c6','Asia/Kolkata','2026-11-23 11:34:03.000000','2026-12-30 12:34:03.000000','b0366355366592aca63acc059e9b7a5e196d892080460c56e60c004fed87a21f',3,3,NULL,'asked',NULL,0,0,NULL,0.0,3,'ok','','','2026-11-30 11:34:01.243396',0,NULL,'2026-11-30 11:34:04.010495','2026-11-30 11:34:03.345378','2026-11-30 12:00:45.024730','2026-12-01 11:49:45.632633',1,NULL,0,0);
INSERT INTO "calendars" VALUES(2,2,'bob@scoopjoy.test','dq79DODZw_80RrJ_WyJib2JAc2Nvb3Bqb3kudGVzdCIsICJib2JAc2Nvb3Bqb3kudGVzdCIsIDMsIHsic2hvd0RlbGV0ZWQiOiB0cnVlLCAibWF4UmVzdWx0cyI6IDI1MDB9LCAxNzk2MDM4NDQyNzczLCA2XQ=','563ee5f83bfbd2c6','Asia/Kolkata','2026-11-23 11:34:02.000000','2026-12-30 12:34:02.000000','ac2140acc2cdd6fe9c20f5b62f4e996449e04d56252f9e9411c9e36ba3f10aa1',2,2,NULL,'channel',NULL,0,0,NULL,0.0,1,'ok','','','2026-11-30 11:34:02.457127',0,NULL,'2026-11-30 11:34:02.801955','2026-11-30 11:34:02.457127','2026-11-30 12:00:40.609466','2026-12-01 11:47:46.648660',1,NULL,0,0);
CREATE TABLE channels (
	id VARCHAR(64) NOT NULL, 
	calendar_id INTEGER NOT NULL, 
	resource_id VARCHAR(255), 
	token_hash VARCHAR(64) NOT NULL, 
	state VARCHAR(12) NOT NULL, 
	requested_at DATETIME NOT NULL, 
	opened_at DATETIME, 
	expires_at DATETIME, 
	renew_at DATETIME, 
	retired_at DATETIME, 
	closed_at DATETIME, 
	last_message_at DATETIME, 
	last_message_number BIGINT, 
	error TEXT NOT NULL, 
	CONSTRAINT pk_channels PRIMARY KEY (id), 
	CONSTRAINT fk_channels_calendar_id_calendars FOREIGN KEY(calendar_id) REFERENCES calendars (id)
);
INSERT INTO "channels" VALUES('8413da3f-3e55-4c8a-b9e4-6ca578a9705e',1,'bXg5TFnxw8dgMGwXJ0xf9n7L3dQ','f049a75a15b581bf6fffcf548d28e702b51c23fc11f582b3be9128d31ae7a023','live','2026-11-30 11:34:00.634065','2026-11-30 11:34:00.852838','2026-12-07 11:34:00.838000','2026-12-05 10:06:52.082747',NULL,NULL,NULL,NULL,'');
INSERT INTO "channels" VALUES('c8545e9a-db9e-4297-9caa-0f782bc9a1fa',2,'9_LkTveHDXqfYBOAbjSXPhpwu4U','a8bda1ee04500dee76ff4a389ce15c00e5f88645565a2d28dc9ee317ed7717ee','live','2026-11-30 11:34:01.896915','2026-11-30 11:34:02.058429','2026-12-07 11:34:02.040000','2026-12-06 16:53:33.053998',NULL,NULL,NULL,NULL,'');
CREATE TABLE counters (
	name VARCHAR(60) NOT NULL, 
	value BIGINT NOT NULL, 
	CONSTRAINT pk_counters PRIMARY KEY (name)
);
INSERT INTO "counters" VALUES('forged',3);
CREATE TABLE facts (
	name VARCHAR(60) NOT NULL, 
	value TEXT NOT NULL, 
	learned_at DATETIME NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY (name)
);
CREATE TABLE invitations (
	id VARCHAR(32) NOT NULL, 
	account_id INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	used_at DATETIME, 
	CONSTRAINT pk_invitations PRIMARY KEY (id), 
	CONSTRAINT fk_invitations_account_id_accounts FOREIGN KEY(account_id) REFERENCES accounts (id)
);
INSERT INTO "invitations" VALUES('6a793ab125e64b93bd206d3ad8216d20',3,'2026-11-30 11:34:04.224536','2026-12-07 11:34:04.224536',NULL);
CREATE TABLE leases (
	name VARCHAR(40) NOT NULL, 
	owner VARCHAR(80) NOT NULL, 
	until FLOAT NOT NULL, 
	CONSTRAINT pk_leases PRIMARY KEY (name)
);
CREATE TABLE notices (
	id INTEGER NOT NULL, 
	"key" VARCHAR(500) NOT NULL, 
	account_id INTEGER, 
	group_id INTEGER, 
	is_group BOOLEAN NOT NULL, 
	who TEXT NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	cause VARCHAR(80) NOT NULL, 
	message TEXT NOT NULL, 
	step TEXT NOT NULL, 
	seen_at DATETIME NOT NULL, 
	mailed INTEGER NOT NULL, 
	posted INTEGER NOT NULL, 
	asked INTEGER NOT NULL, 
	todo VARCHAR(140), 
	mended_at DATETIME, 
	closed_at DATETIME, 
	failing_since DATETIME, 
	failing_by VARCHAR(10) NOT NULL, 
	error TEXT NOT NULL, 
	CONSTRAINT pk_notices PRIMARY KEY (id), 
	CONSTRAINT fk_notices_account_id_accounts FOREIGN KEY(account_id) REFERENCES accounts (id), 
	CONSTRAINT fk_notices_group_id_notices FOREIGN KEY(group_id) REFERENCES notices (id)
);
CREATE TABLE oauth_flows (
	state_hash VARCHAR(64) NOT NULL, 
	browser_hash VARCHAR(64) NOT NULL, 
	purpose VARCHAR(10) NOT NULL, 
	invitation_id VARCHAR(32), 
	verifier BLOB NOT NULL, 
	nonce VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_oauth_flows PRIMARY KEY (state_hash), 
	CONSTRAINT fk_oauth_flows_invitation_id_invitations FOREIGN KEY(invitation_id) REFERENCES invitations (id)
);
CREATE TABLE quarantine (
	id INTEGER NOT NULL, 
	calendar_id INTEGER NOT NULL, 
	sync_key VARCHAR(64) NOT NULL, 
	event_id VARCHAR(1024) NOT NULL, 
	message TEXT NOT NULL, 
	first_at DATETIME NOT NULL, 
	last_at DATETIME NOT NULL, 
	attempts INTEGER NOT NULL, 
	CONSTRAINT pk_quarantine PRIMARY KEY (id), 
	CONSTRAINT fk_quarantine_calendar_id_calendars FOREIGN KEY(calendar_id) REFERENCES calendars (id), 
	CONSTRAINT uq_quarantine_calendar_id_sync_key UNIQUE (calendar_id, sync_key)
);
INSERT INTO "quarantine" VALUES(1,1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','refused-event','ERPNext refused it','2026-11-30 11:34:04.224536','2026-11-30 11:34:04.224536',1);
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	calendar_id INTEGER NOT NULL, 
	kind VARCHAR(10) NOT NULL, 
	reason VARCHAR(20) NOT NULL, 
	started_at DATETIME NOT NULL, 
	seconds FLOAT NOT NULL, 
	pages INTEGER NOT NULL, 
	items INTEGER NOT NULL, 
	created INTEGER NOT NULL, 
	updated INTEGER NOT NULL, 
	cancelled INTEGER NOT NULL, 
	unchanged INTEGER NOT NULL, 
	skipped INTEGER NOT NULL, 
	refused INTEGER NOT NULL, 
	google_calls INTEGER NOT NULL, 
	erpnext_calls INTEGER NOT NULL, 
	lag_received FLOAT, 
	lag_google FLOAT, 
	error TEXT NOT NULL, 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT fk_runs_calendar_id_calendars FOREIGN KEY(calendar_id) REFERENCES calendars (id)
);
INSERT INTO "runs" VALUES(1,1,'snapshot','connect','2026-11-30 11:34:00.930251',0.295419160000165,1,0,0,0,0,0,0,0,2,1,NULL,NULL,'');
INSERT INTO "runs" VALUES(2,1,'delta','channel','2026-11-30 11:34:01.397911',8.20624070001940708607e-02,1,0,0,0,0,0,0,0,1,0,NULL,NULL,'');
INSERT INTO "runs" VALUES(3,2,'snapshot','connect','2026-11-30 11:34:02.159689',2.82272126999487227294e-01,1,0,0,0,0,0,0,0,2,1,NULL,NULL,'');
INSERT INTO "runs" VALUES(4,2,'delta','channel','2026-11-30 11:34:02.622988',1.63105182999970566015e-01,1,0,0,0,0,0,0,0,1,0,NULL,NULL,'');
INSERT INTO "runs" VALUES(5,1,'snapshot','asked','2026-11-30 11:34:03.044756',2.69265437999820278491e-01,1,1,1,0,0,0,0,0,1,2,0.35141,NULL,'');
INSERT INTO "runs" VALUES(6,1,'delta','asked','2026-11-30 11:34:03.690795',2.98379621000094630289e-01,1,1,0,0,0,1,0,0,1,2,NULL,NULL,'');
CREATE TABLE ticks (
	name VARCHAR(40) NOT NULL, 
	last_run_at DATETIME NOT NULL, 
	last_ok_at DATETIME, 
	error TEXT NOT NULL, 
	CONSTRAINT pk_ticks PRIMARY KEY (name)
);
INSERT INTO "ticks" VALUES('sweep','2026-11-30 11:34:04.224536','2026-11-30 11:34:04.224536','');
CREATE TABLE usage (
	bucket VARCHAR(80) NOT NULL, 
	calls INTEGER NOT NULL, 
	expires_at DATETIME NOT NULL, 
	CONSTRAINT pk_usage PRIMARY KEY (bucket)
);
INSERT INTO "usage" VALUES('minute:29933974',10,'2026-11-30 11:44:00.781356');
INSERT INTO "usage" VALUES('minute:29933974:1',6,'2026-11-30 11:44:00.781356');
INSERT INTO "usage" VALUES('day:2026-11-30',10,'2027-01-09 11:34:00.781356');
INSERT INTO "usage" VALUES('minute:29933974:2',4,'2026-11-30 11:44:01.990321');
CREATE INDEX ix_usage_expires_at ON usage (expires_at);
CREATE INDEX ix_calendars_account_id ON calendars (account_id);
CREATE INDEX ix_calendars_next_poll_at ON calendars (next_poll_at);
CREATE INDEX ix_invitations_account_id ON invitations (account_id);
CREATE INDEX ix_channels_calendar_id ON channels (calendar_id);
CREATE INDEX ix_channels_state ON channels (state);
CREATE INDEX ix_runs_calendar_id ON runs (calendar_id);
CREATE INDEX ix_runs_started_at ON runs (started_at);
CREATE INDEX ix_notices_closed_at ON notices (closed_at);
CREATE INDEX ix_notices_group_id ON notices (group_id);
CREATE UNIQUE INDEX uq_notices_key ON notices ("key") WHERE mended_at IS NULL;
COMMIT;
